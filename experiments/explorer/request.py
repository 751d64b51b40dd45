"""A message of a page, and whether the page still waits for the answer."""

from collections.abc import Callable
from typing import Any, NamedTuple

from experiments.explorer import state
from experiments.explorer.messages import MessageError
from experiments.explorer.state import State


class Gone(Exception):  # noqa: N818 - nothing went wrong
    """A page that no longer waits for its answer."""


class Request(NamedTuple):
    """A message.

    Attributes:
        content: its entries.
        payload: its payload.
        is_gone: function that returns whether the page has stopped to wait.
    """

    content: dict[str, Any]
    payload: bytes
    is_gone: Callable[[], bool]

    def entry(self, name: str) -> Any:
        """Returns an entry. Raises MessageError if it is missing."""
        if name not in self.content:
            raise MessageError(f"{self.content.get('kind')}: has no {name}")
        return self.content[name]

    def state(self) -> State:
        """Returns the state in the message."""
        return state.read(self.entry("state"))
