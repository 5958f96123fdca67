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


QUESTIONS: dict[str, Callable[[Scene, Arguments], Any]] = {"trace": _trace, "matrix": _matrix}


def answer(scene: Scene, question: str, arguments: Arguments) -> Any:
    """Answer a question. Raises KeyError for one that is not known; what else: see the function that answers it."""
    return QUESTIONS[question](scene, arguments)
