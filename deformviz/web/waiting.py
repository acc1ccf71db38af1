"""The queue before the jobs: who waits is told their place, and who finds it full, what to do."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

import fastapi
import gradio as gr
from gradio import route_utils
from gradio.data_classes import PredictBodyInternal
from gradio.queueing import Event, Queue
from gradio.server_messages import ProcessCompletedMessage
from gradio.utils import error_payload

DEFAULT_AT_ONCE = 1
"""Jobs of a kind that run at once, where the kind does not say."""

Pushed = tuple[
    bool, str | list[dict[str, Any]], Literal["success", "error", "queue_full", "validator_error"]
]


def bound(page: gr.Blocks, most: int) -> None:
    """Give a page its queue."""
    page.queue(max_size=most, default_concurrency_limit=DEFAULT_AT_ONCE)
    ours = Waiting(
        live_updates=True,  # everybody's place is told whenever a job begins
        concurrency_count=page.max_threads,
        update_intervals=1,
        max_size=most,
        blocks=page,
        default_concurrency_limit=DEFAULT_AT_ONCE,
    )
    page._queue = ours


class Waiting(Queue):
    """Gradio's queue, which answers in our words when it is full.

    Gradio itself answers with status 503. A page then says "This application is currently busy",
    a program "Queue is full!", whatever the server sends along. So the job is taken, and ends at
    once with an error, which both show as it is.
    """

    async def push(
        self, body: PredictBodyInternal, request: fastapi.Request, username: str | None
    ) -> Pushed:
        """Put a job into the queue, or refuse it."""
        if body.fn_index is None or self.max_size is None or len(self) < self.max_size:
            return await super().push(body, request, username)
        fn = route_utils.get_fn(self.blocks, None, body)
        event = Event(body.session_hash, fn, request, username)
        async with self.pending_message_lock:
            self._listen_to(event)
        refusal = error_payload(too_many(self.max_size), show_error=False)
        done = ProcessCompletedMessage(output=refusal, title=str(refusal["title"]), success=False)
        self.send_message(event, done)
        return True, event._id, "success"

    def _listen_to(self, event: Event) -> None:
        """Open the places where whoever asked waits for the answer, as Gradio's `push` does."""
        session = event.session_hash
        if session not in self.pending_messages_per_session:
            self.pending_messages_per_session[session] = asyncio.Queue()
        self.pending_event_ids_session.setdefault(session, set()).add(event._id)


def too_many(most: int) -> gr.Error:
    """What is said where the queue is full."""
    return gr.Error(
        f"The server is busy: {most} jobs are waiting already. What you had is still here: "
        "try again in a minute.",
        title="Busy",
        print_exception=False,
    )
