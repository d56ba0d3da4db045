"""Loads policies for the server, one at a time and in a thread, as it takes long."""

import logging
import threading
from collections.abc import Callable

from inhand.controller.core.interfaces import PolicyRunner
from inhand.controller.core.requests import LoadPolicy
from inhand.controller.errors import PolicyError
from inhand.controller.ipc.authority import Sender
from inhand.controller.ipc.request_queue import FULL, Answer, PendingRequest, RequestQueue

log = logging.getLogger(__name__)


class PolicyLoading:
    """Carries out `load_policy`.

    Args:
        load: loads and checks a policy; may be slow.
        request_queue: takes the loaded policy to the tick.
    """

    def __init__(self, load: Callable[[str], PolicyRunner], request_queue: RequestQueue) -> None:
        self._load_policy, self._request_queue = load, request_queue
        self._loading = threading.Lock()

    def start(self, client: list[bytes], request: LoadPolicy, sender: Sender | None) -> bool:
        """Begins to load a policy; False if another one is being loaded."""
        if not self._loading.acquire(blocking=False):
            return False
        threading.Thread(target=self._load, args=(client, request, sender), daemon=True).start()
        return True

    def _load(self, client: list[bytes], request: LoadPolicy, sender: Sender | None) -> None:
        pending, answer = None, Answer(client, request.id, None, "busy", FULL)
        try:
            pending = PendingRequest(
                client, request, self._load_policy(request.policy), sender=sender
            )
        except PolicyError as error:
            answer = Answer(client, request.id, None, "policy", str(error))
        except Exception as error:
            log.exception("loading a policy failed")
            text = f"policy {request.policy!r}: cannot be loaded: {error!r}"
            answer = Answer(client, request.id, None, "policy", text)
        finally:
            # Released before the answer: a client that has the answer may load the next policy.
            self._loading.release()
        if pending is None or not self._request_queue.post(pending):
            self._request_queue.answer(answer)
