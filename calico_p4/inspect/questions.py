"""Every question by name: what the command line asks of a scene, here or in the running driver, with answers that JSON can carry."""

from collections.abc import Callable, Mapping
from typing import Any

from calico_p4.inspect.scene import Scene

Arguments = Mapping[str, Any]


def _trace(scene: Scene, arguments: Arguments) -> Any:
    from calico_p4.inspect.asking import Wanted, ask

    given = dict(arguments)
    verify = given.pop("verify", None)
    return ask(scene, Wanted(**given), verify)


def _matrix(scene: Scene, arguments: Arguments) -> Any:
    from calico_p4.inspect.asking import Wanted, matrix

    return matrix(scene, Wanted(**arguments))


def _get(scene: Scene, arguments: Arguments) -> Any:
    from calico_p4.inspect.listing import Filter, listed

    given = dict(arguments)
    kind = given.pop("kind")
    return listed(scene, kind, Filter(**given | {"tables": tuple(given.get("tables", ()))}))


def _explain(scene: Scene, arguments: Arguments) -> Any:
    from calico_p4.inspect.listing import explain

    return explain(scene, arguments["entry"])


def _describe(scene: Scene, arguments: Arguments) -> Any:
    from calico_p4.inspect.describing import describe

    return describe(scene, arguments["kind"], arguments["name"])


def _rows(scene: Scene, arguments: Arguments) -> Any:
    from calico_p4.inspect.difference import objects_of, rows_of

    return {"rows": rows_of(scene, arguments["which"]), "objects": objects_of(scene)}


def _fix(scene: Scene, arguments: Arguments) -> Any:
    del arguments
    before = scene.driver.pusher.writes.as_dict()
    scene.driver.read_back()
    after = scene.driver.pusher.writes.as_dict()
    return {**{name: after[name] - before[name] for name in before}, "pending": scene.driver.tracker.pending_count()}


def _clear(scene: Scene, arguments: Arguments) -> Any:
    from calico_p4.inspect.flows import clear

    return clear(scene, arguments.get("address"))


def _check(scene: Scene, arguments: Arguments) -> Any:
    from calico_p4.inspect.health import checks

    del arguments
    return checks(scene)


def _bundle(scene: Scene, arguments: Arguments) -> Any:
    from calico_p4.inspect.bundle import contents

    del arguments
    return contents(scene)


QUESTIONS: dict[str, Callable[[Scene, Arguments], Any]] = {
    "trace": _trace, "matrix": _matrix, "get": _get, "explain": _explain, "describe": _describe, "rows": _rows, "fix": _fix,
    "clear": _clear,
    "check": _check, "bundle": _bundle,
}  # fmt: skip


def answer(scene: Scene, question: str, arguments: Arguments) -> Any:
    """Answer a question. Raises KeyError for one that is not known; what else: see the function that answers it."""
    return QUESTIONS[question](scene, arguments)
