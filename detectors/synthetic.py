"""Plants anomalies into normal items: what a method without real anomalies can learn masks and restorations from.

Turns normal tensors of any item shape into odd ones with the truth of where. Knows rows (n, channel), windows
(n, channel, window) and pictures or clips (n, channel, h, w); not methods, files or scores. All is drawn from a
seeded generator, and strengths are in standard deviations of the channels of `donors`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from detectors.errors import AnomalyError
from detectors.noise import make_noise

VISIBLE = 0.25  # a value moved by less of its deviation is not called changed
Groups = Sequence[tuple[str, int]]


class Planted(NamedTuple):
    """Odd items with the truth about them."""

    x: Tensor  # (n, channel, *position)
    where: Tensor  # bool: rows and windows like x, pictures (n, 1, h, w)
    kinds: list[str]  # one an item


class _Scene(NamedTuple):
    """What a kind is given: the items to change, the places, normals to borrow from, deviations and a generator."""

    x: Tensor
    where: Tensor
    donors: Tensor
    spread: Tensor  # (1, channel, 1...) standard deviation of each channel
    generator: torch.Generator

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """(n, *shape or 1...) of numbers between low and high."""
        tail = shape or (1,) * (self.x.ndim - 1)
        return low + (high - low) * torch.rand((len(self.x), *tail), generator=self.generator).to(self.x.device)

    def sign(self, *shape: int) -> Tensor:
        """-1 or 1, shaped like `uniform`."""
        return self.uniform(-1, 1, *shape).sign()

    def borrowed(self) -> Tensor:
        """Another normal for each item."""
        pick = torch.randint(len(self.donors), (len(self.x),), generator=self.generator)
        return self.donors[pick.to(self.donors.device)].to(self.x)


def plant(
    x: Tensor,
    generator: torch.Generator,
    kinds: Sequence[str] | None = None,
    donors: Tensor | None = None,
    groups: Groups = (),
) -> Planted:
    """Every item of x (n, channel, *position) with one anomaly each.

    kinds: those to choose among (`kinds_of` names all); donors: normals to borrow values from (None: x itself);
    groups: runs of channels that belong together, struck together half the time.
    Raises AnomalyError for a kind that items of this shape do not have.
    """
    known = _KINDS[x.ndim - 1]
    wanted = list(kinds) if kinds is not None else list(known)
    unknown = [kind for kind in wanted if kind not in known]
    if unknown or not wanted:
        raise AnomalyError(f"kind={next(iter(unknown), '')!r} is unknown for these items; known: {', '.join(known)}.")
    donors = x if donors is None else donors
    spread = _spread(donors).to(x)
    picked = torch.randint(len(wanted), (len(x),), generator=generator).tolist()
    where = places(x, generator, groups)
    odd = x.clone()
    for number, kind in enumerate(wanted):
        rows = torch.tensor([i for i, p in enumerate(picked) if p == number], device=x.device)
        if len(rows):
            odd[rows] = _changed(known[kind], _Scene(x[rows], where[rows], donors, spread, generator))
    told, chosen = _told(x, odd, spread), [wanted[p] for p in picked]
    same = ~told.flatten(1).any(1)
    if same.any():  # a value swapped for its like: nothing to see, so move it instead
        rows, kind = same.nonzero()[:, 0], _PLAIN[x.ndim - 1]
        odd[rows] = _changed(known[kind], _Scene(x[rows], where[rows], donors, spread, generator))
        told[rows] = _told(x[rows], odd[rows], spread)
        chosen = [kind if is_same else name for name, is_same in zip(chosen, same.tolist(), strict=True)]
    return Planted(odd, told, chosen)


def plant_half(x: Tensor, generator: torch.Generator, donors: Tensor, groups: Groups = ()) -> tuple[Tensor, Tensor]:
    """A training batch with anomalies in its first half: (x, where) shaped like those of `plant`."""
    half = max(1, len(x) // 2)
    planted = plant(x[:half], generator, donors=donors, groups=groups)
    nowhere = torch.zeros((len(x) - half, *planted.where.shape[1:]), dtype=torch.bool, device=x.device)
    return torch.cat([planted.x, x[half:]]), torch.cat([planted.where, nowhere])


def blend(x: Tensor, content: Tensor, generator: torch.Generator, groups: Groups = ()) -> Planted:
    """Foreign `content` (like x) laid over random places of x, half to fully opaque (RealNet, Zhang et al. 2024)."""
    where = places(x, generator, groups)
    opacity = 0.5 + 0.5 * torch.rand((len(x),) + (1,) * (x.ndim - 1), generator=generator).to(x.device)
    odd = torch.where(where, x + opacity * (content - x), x)
    return Planted(odd, _told(x, odd, _spread(x)), ["blended"] * len(x))


def kinds_of(shape: Sequence[int]) -> tuple[str, ...]:
    """The kinds for items of a shape (channel, *position)."""
    return tuple(_KINDS[len(shape)])


def _changed(kind: Callable[[_Scene], Tensor], scene: _Scene) -> Tensor:
    """The items with the kind's values at the places; pictures' places are blended in, from faint to fully."""
    new = kind(scene)
    if scene.x.ndim == 4:
        new = scene.x + scene.uniform(0.4, 1.0) * (new - scene.x)
    return torch.where(scene.where, new, scene.x)


def _told(x: Tensor, odd: Tensor, spread: Tensor) -> Tensor:
    """Where the change can be seen."""
    change = (odd - x).abs() / spread
    if x.ndim == 4:
        return change.square().mean(1, keepdim=True).sqrt() > VISIBLE
    return change > VISIBLE


def _spread(x: Tensor) -> Tensor:
    """Standard deviation of each channel, floored where a channel hardly moves: (1, channel, 1...)."""
    axes = [0, *range(2, x.ndim)]
    deviation = (x.float() - x.float().mean(axes, keepdim=True)).square().mean(axes, keepdim=True).sqrt()
    return deviation.clamp_min(max(0.05 * float(deviation.mean()), 1e-3))


# --- places --------------------------------------------------------------------------------------------------------
def places(x: Tensor, generator: torch.Generator, groups: Groups = ()) -> Tensor:
    """Bool places to strike, like x: some channels, and in windows and pictures a part of the positions."""
    if x.ndim == 2:
        return _channels(len(x), x.shape[1], generator, groups).to(x.device)
    if x.ndim == 3:
        channels = _channels(len(x), x.shape[1], generator, groups)[:, :, None]
        return (channels & _stretch(len(x), x.shape[2], generator)[:, None]).to(x.device)
    place = _blobs(len(x), x.shape[2], x.shape[3], generator)[:, None]
    if not groups:
        return place.expand(x.shape).to(x.device)
    channels = _whole_groups(len(x), x.shape[1], generator, groups)
    channels |= torch.rand(len(x), 1, generator=generator) < 0.5
    return (place & channels[:, :, None, None]).to(x.device)


def _channels(count: int, channels: int, generator: torch.Generator, groups: Groups) -> Tensor:
    """(count, channels) bool: one or a few channels, fewer more often; or, half the time, a whole group."""
    share = torch.rand(count, 1, generator=generator).square()
    wanted = 1 + (share * max(1, channels // 3)).long().clamp_max(max(0, channels - 1))
    rank = torch.rand(count, channels, generator=generator).argsort(1).argsort(1)
    chosen = rank < wanted
    if len(groups) < 2:
        return chosen
    as_group = torch.rand(count, 1, generator=generator) < 0.5
    return torch.where(as_group, _whole_groups(count, channels, generator, groups), chosen)


def _whole_groups(count: int, channels: int, generator: torch.Generator, groups: Groups) -> Tensor:
    """(count, channels) bool: all channels of one group each."""
    number = torch.repeat_interleave(torch.arange(len(groups)), torch.tensor([size for _, size in groups]))
    number = F.pad(number, (0, channels - len(number)), value=-1)[:channels]
    return number[None] == torch.randint(len(groups), (count, 1), generator=generator)


def _stretch(count: int, window: int, generator: torch.Generator) -> Tensor:
    """(count, window) bool: a run of stamps, which may begin before the window or end after it."""
    length = (torch.rand(count, 1, generator=generator) * window).clamp_min(2.0)
    first = torch.rand(count, 1, generator=generator) * window - length / 2
    at = torch.arange(window)[None] + 0.5
    run = (at >= first) & (at < first + length)
    middle = (first + length / 2).long().clamp(0, window - 1)
    return run.scatter(1, middle, True)


def _blobs(count: int, height: int, width: int, generator: torch.Generator) -> Tensor:
    """(count, height, width) bool: ellipses with ragged edges, scratches, and patches of thresholded Perlin noise."""

    def drawn(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, 1, 1, generator=generator)

    row, column = (torch.arange(height) + 0.5)[:, None] / height, (torch.arange(width) + 0.5)[None] / width
    angle, size = drawn(0, torch.pi), drawn(0.02, 0.35).square() / 0.35 + 0.02  # small ones more often
    dy, dx = row - drawn(0.05, 0.95), column - drawn(0.05, 0.95)
    along, across = dx * angle.cos() + dy * angle.sin(), dy * angle.cos() - dx * angle.sin()
    noise = make_noise("simplex", (count, 1, height, width), generator, torch.device("cpu"))[:, 0]
    radius = (along / (size * drawn(0.7, 2.0))).square() + (across / size).square()
    ellipse = radius < (1 + 0.5 * noise).clamp_min(0.2)
    scratch = (along.abs() < drawn(0.05, 0.3)) & ((across + 0.02 * noise).abs() < drawn(0.5, 1.0) / min(height, width))
    ragged = (noise > drawn(0.8, 1.8)) & (radius < 1 / drawn(0.02, 1.0))
    form = torch.randint(4, (count, 1, 1), generator=generator)
    place = torch.where(form == 0, scratch, torch.where(form == 1, ragged, ellipse))
    nearest = (dy.square() + dx.square()).flatten(1).argmin(1, keepdim=True)
    return place.flatten(1).scatter(1, nearest, True).view(count, height, width)  # never empty


# --- kinds: pictures and clips ---------------------------------------------------------------------------------------
def _pasted(s: _Scene) -> Tensor:
    """Content of another normal, from another place."""
    height, width = s.x.shape[2:]
    shift = torch.randint(1, max(2, min(height, width)), (2,), generator=s.generator).tolist()
    return s.borrowed().roll(shift, (2, 3))


def _texture(s: _Scene) -> Tensor:
    """Foreign texture: noise, fine to coarse, with the channels' deviations, about a colour of its own."""
    kind = ("gaussian", "coarse")[int(torch.randint(2, (1,), generator=s.generator))]
    grain = make_noise(kind, tuple(s.x.shape), s.generator, s.x.device)
    tone = torch.randn((len(s.x), s.x.shape[1], 1, 1), generator=s.generator).to(s.x.device)
    return s.spread * (s.uniform(0.3, 1.5) * grain + s.uniform(0.0, 1.5) * tone)


def _intensity(s: _Scene) -> Tensor:
    """The content moved by one step, the same over the place."""
    step = torch.randn((len(s.x), s.x.shape[1], 1, 1), generator=s.generator).to(s.x.device)
    return s.x + s.uniform(0.4, 2.0) * s.spread * step


def _smeared(s: _Scene) -> Tensor:
    """Detail gone: the mean of the place, or its content drained towards the mean of all normals."""
    inside = s.where.float()
    mean = (s.x * inside).sum((2, 3), keepdim=True) / inside.sum((2, 3), keepdim=True).clamp_min(1)
    return torch.where(s.sign() > 0, mean, s.uniform(0.0, 0.3) * s.x)


# --- kinds: windows --------------------------------------------------------------------------------------------------
def _spike(s: _Scene) -> Tensor:
    """One to three stamps thrown far out."""
    inside = s.where.any(1, keepdim=True)
    score = torch.rand(inside.shape, generator=s.generator).to(s.x.device) * inside
    near = F.max_pool1d(score, 3, 1, 1) >= score.amax(2, keepdim=True)
    centre = score >= score.amax(2, keepdim=True)
    hit = torch.where(s.sign() > 0, centre, near)
    return torch.where(hit, s.x + s.sign() * s.uniform(2.0, 8.0) * s.spread, s.x)


def _level(s: _Scene) -> Tensor:
    """A step up or down."""
    return s.x + s.sign() * s.uniform(0.7, 4.0) * s.spread


def _drift(s: _Scene) -> Tensor:
    """A slow walk away, from nothing to a few deviations."""
    age = s.where.any(1, keepdim=True).float().cumsum(2)
    return s.x + s.sign() * s.uniform(1.0, 5.0) * s.spread * age / age.amax(2, keepdim=True).clamp_min(1)


def _stuck(s: _Scene) -> Tensor:
    """The value of the first stamp, held."""
    first = s.where.any(1).float().argmax(1).view(-1, 1, 1).expand(-1, s.x.shape[1], 1)
    return s.x.gather(2, first).expand_as(s.x)


def _decoupled(s: _Scene) -> Tensor:
    """The course of another time."""
    return s.borrowed().roll(int(torch.randint(s.x.shape[2], (1,), generator=s.generator)), 2)


def _noise(s: _Scene) -> Tensor:
    """Fuzz on top."""
    return s.x + s.uniform(0.5, 2.5) * s.spread * torch.randn(s.x.shape, generator=s.generator).to(s.x.device)


# --- kinds: rows -----------------------------------------------------------------------------------------------------
def _swapped(s: _Scene) -> Tensor:
    """Values of another row."""
    return s.borrowed()


def _shifted(s: _Scene) -> Tensor:
    """Values moved up or down, by 0.7 to 12 deviations, as often by 1 to 2 as by 5 to 10."""
    return s.x + s.sign(s.x.shape[1]) * 0.7 * 17 ** s.uniform(0.0, 1.0) * s.spread


def _unrelated(s: _Scene) -> Tensor:
    """Values mirrored about their mean: each as likely as before, but against what the others say."""
    return 2 * s.donors.mean(0).to(s.x) - s.x


_KINDS: dict[int, dict[str, Callable[[_Scene], Tensor]]] = {  # by axes of an item
    1: {"swapped": _swapped, "shifted": _shifted, "unrelated": _unrelated},
    2: {"spike": _spike, "level": _level, "drift": _drift, "stuck": _stuck, "decoupled": _decoupled, "noise": _noise},
    3: {"pasted": _pasted, "texture": _texture, "intensity": _intensity, "smeared": _smeared},
}
_PLAIN = {1: "shifted", 2: "level", 3: "intensity"}  # never leaves an item as it was
