"""Weights by name into any network, every name and shape matched."""

from torch import Tensor, nn

from pipeline.runtime.errors import ActaError


def load_state(model: nn.Module, state: dict[str, Tensor], source: str, replace: tuple[str, ...] = ()) -> None:
    """Load weights, every key matched.

    Args:
        model: The network.
        state: Tensors by name; counters of batch norm (``num_batches_tracked``) may be missing.
        source: Where they come from, for the message.
        replace: Names whose weights are kept as they are in ``model`` where the shape differs (a new classifier).

    Raises:
        ActaError: names or shapes differ; the message gives the first of each kind.
    """
    model.load_state_dict(check_state(model, state, source, replace), strict=False)


def check_state(
    model: nn.Module, state: dict[str, Tensor], source: str, replace: tuple[str, ...] = ()
) -> dict[str, Tensor]:
    """What `load_state` would load; arguments and errors as there. ``model`` may be without memory (meta)."""
    wanted = model.state_dict()
    shapes = {name: tensor.shape for name, tensor in wanted.items()}
    state = {name: tensor for name, tensor in state.items() if name not in replace or tensor.shape == shapes[name]}
    counters = {name for name in wanted if name.endswith("num_batches_tracked")}
    missing = sorted(set(wanted) - set(state) - counters - set(replace))
    unknown = sorted(set(state) - set(wanted))
    wrong = sorted(name for name in set(state) & set(wanted) if state[name].shape != shapes[name])
    problems = [
        f"{len(names)} {kind}, such as {names[0]!r}"
        for kind, names in (("missing", missing), ("unknown", unknown))
        if names
    ]
    if wrong:
        first = wrong[0]
        problems.append(f"{first!r} has the shape {list(state[first].shape)} instead of {list(shapes[first])}")
    if problems:
        raise ActaError(f"{source} holds the weights of another architecture: {'; '.join(problems)}")
    return state
