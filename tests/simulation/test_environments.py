"""Each execution environment has its own copy of a module's state in memory."""

from typing import Any

from simulation.environments import give_each_its_own


class Memory:
    def __init__(self) -> None:
        self.seen: set[str] = set()
        self.last = ""

    def see(self, name: str) -> int:
        self.seen.add(name)
        self.last = name
        return len(self.seen)


def test_two_environments_do_not_share_the_state_of_an_object() -> None:
    memory = Memory()
    states: list[dict[str, Any]] = [{}, {}]
    present = 0
    give_each_its_own(memory, lambda: states[present])

    assert (memory.see("a"), memory.see("b")) == (1, 2)
    present = 1
    assert (memory.see("c"), memory.last) == (1, "c")
    present = 0
    assert (memory.seen, memory.last) == ({"a", "b"}, "b")


def test_a_new_environment_begins_as_the_module_was_imported() -> None:
    memory = Memory()
    memory.see("at import")
    state: dict[str, Any] = {}
    give_each_its_own(memory, lambda: state)
    memory.see("later")

    state.clear()

    assert memory.seen == {"at import"}
