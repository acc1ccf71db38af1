"""What meets the bytes of strangers: this folder runs in a confined child process, and only there.

The child starts as ``python -I -S`` with nothing but this folder to import from, so that it weighs
10 MB and is there in 30 ms. Hence the rules of the house here:

* the standard library alone is imported, and no module from outside this folder: ``deformviz``
  itself would bring torch, 300 MB and two seconds;
* nothing interprets the numbers in a file. A parser says *where in the file* a tensor lies, its
  type, shape and strides; the parent copies those bytes and no others;
* a file's words never become code, an import or an attribute: a pickle is walked by a machine of
  our own (`opcodes`), in which every class and every function is a name and stays one;
* work is bounded by counting (operations, bytes, names), and the limits of the operating system
  (`confine`) stand behind that, for what was overlooked.

    entry.py          the child's main: a descriptor in, one line of JSON out
    kinds.py          which parser, by content
    torch_zip.py      torch.save since 1.6, on zip_archive.py
    torch_legacy.py   torch.save before that
    opcodes.py, machine.py, inert.py, known.py     the pickle machine
    wrappers.py, modules.py, harvest.py            which state dict, and what of it is listed
    safetensors.py, onnx.py, protobuf.py
"""
