"""State of the adapter from step to step, in the recurrent vector that the daemon carries."""

from inhand.training.foreign.graph_builder import GraphBuilder

_EARLY = 1e-4
"""Share of a step by which a step may come too early, for rounding."""


class Memory:
    """Named tensors, (1, size) each, that keep their values until the next step.

    The daemon sets all to zero at the start.

    Args:
        graph: where operations are added.
        share: of a step of the network that passes in each step of the daemon; at 1, the network
            acts each time.

    Attributes:
        first: whether this is the first step, (1, 1).
        acts: whether the network acts in this step, (1, 1); empty: it always does.
    """

    def __init__(self, graph: GraphBuilder, share: float) -> None:
        self._graph = graph
        self._names: dict[str, str] = {}
        self._new: dict[str, str] = {}
        self.size = 0
        self._flat = graph.shaped("h_in", 1, -1)
        self.first = graph.node("Less", self.recall("started", 1), graph.floats(0.5))
        self._new["started"] = graph.floats(1.0)
        self.acts = self._timing(share) if share < 1.0 else ""

    def _timing(self, share: float) -> str:
        graph = self._graph
        phase = graph.node("Add", self.recall("phase", 1), graph.floats(share))
        due = graph.node("GreaterOrEqual", phase, graph.floats(1.0 - _EARLY))
        left = graph.node("Sub", phase, graph.floats(1.0))
        after = graph.node("Where", due, left, phase)
        self._new["phase"] = graph.node("Where", self.first, graph.floats(0.0), after)
        return graph.node("Or", self.first, due)

    def recall(self, name: str, size: int) -> str:
        """What was remembered in the step before, (1, size); zeros in the first one."""
        if name not in self._names:
            begin, self.size = self.size, self.size + size
            self._names[name] = self._graph.columns(self._flat, begin, self.size)
        return self._names[name]

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def remember(self, name: str, tensor: str) -> None:
        """Remembers a tensor, if the network acts in this step."""
        if self.acts:
            tensor = self._graph.node("Where", self.acts, tensor, self._names[name])
        self._new[name] = tensor

    def close(self) -> None:
        """Makes the outputs `h_out` and `c_out` of all that was recalled."""
        kept = self._graph.joined([self._new[name] for name in self._names])
        self._graph.shaped(kept, 1, 1, self.size, name="h_out")
        self._graph.node("Identity", "c_in", name="c_out")
