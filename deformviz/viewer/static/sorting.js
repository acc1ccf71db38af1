/* All points of a scene sorted by the pixel up and left of them: who reads a pixel is among those of
 * four such cells. There may be 32 million points, so they are walked row by row, with nothing in the
 * inner loops but sums, and nothing is made for a point. */

const POINTS_A_STEP = 65536; // points between two looks at the clock

/** The cells of the points that one tap of each position in a row reads. */
class RowOfCells {
  constructor(scene) {
    Object.assign(this, { scene, cells: new Int32Array(scene.w) });
    this.moves = [0, 1].map(() => new Float64Array(scene.w));
    this.bases = [0, 1].map(() => new Float64Array(scene.w));
  }

  /** Find them for tap n = g * K + k at row y; -1 where no pixel of the map is within reach. */
  find(n, y) {
    const { scene, cells } = this;
    const [g, k] = [Math.floor(n / scene.K), n % scene.K];
    for (const axis of [0, 1]) {
      scene.tensors.offset.line(this.moves[axis], g, k, axis, y);
      this.fillBase(g, k, axis, y);
    }
    const [[dy, dx], [by, bx], { H, W }] = [this.moves, this.bases, scene];
    for (let x = 0; x < cells.length; x += 1) {
      const row = Math.floor(by[x] + dy[x]) + 1;
      const column = Math.floor(bx[x] + dx[x]) + 1;
      cells[x] = row >= 0 && row <= H && column >= 0 && column <= W ? row * (W + 1) + column : -1;
    }
    return cells;
  }

  fillBase(g, k, axis, y) {
    const { scene } = this;
    const base = this.bases[axis];
    const { reference } = scene.tensors;
    if (reference) { reference.line(base, g, k, axis, y); return; }
    const first = scene.baseOf(g, k, axis, y, 0);
    const step = axis === 0 ? 0 : scene.grid.stride[1];
    for (let x = 0; x < base.length; x += 1) base[x] = first + x * step;
  }
}

/** Visit the cells of all rows, with the id of the row's first point; it yields once in a while. */
function* walkCells(scene, visit) {
  const row = new RowOfCells(scene);
  let seen = 0;
  for (let n = 0, id = 0; n < scene.G * scene.K; n += 1) {
    for (let y = 0; y < scene.h; y += 1, id += scene.w) {
      visit(row.find(n, y), id);
      seen += scene.w;
      if (seen >= POINTS_A_STEP) { seen = 0; yield; }
    }
  }
}

/**
 * Sort the points, in steps: a generator, so that a browser can do it between other things.
 *
 * @returns {start, ids}: the ids ((g * K + k) * h + y) * w + x of the points in cell
 *   (y + 1) * (W + 1) + x + 1, whose upper left pixel is (y, x), are ids[start[cell]] up to
 *   ids[start[cell + 1]].
 */
export function* sortedByPixel(scene) {
  const count = (scene.H + 1) * (scene.W + 1);
  const start = new Int32Array(count + 1);
  yield* walkCells(scene, (cells) => {
    for (let x = 0; x < cells.length; x += 1) if (cells[x] >= 0) start[cells[x] + 1] += 1;
  });
  for (let cell = 0; cell < count; cell += 1) start[cell + 1] += start[cell];
  const ids = new Int32Array(start[count]);
  const next = start.slice(0, count);
  yield* walkCells(scene, (cells, first) => {
    for (let x = 0; x < cells.length; x += 1) {
      const cell = cells[x];
      if (cell >= 0) { ids[next[cell]] = first + x; next[cell] += 1; }
    }
  });
  return { start, ids };
}
