"""The species of atoms, by a graph attention transformer over them (the second stage of PANN, paper 001).

Only that paper's abstract is public: 3D Zernike moments of the density around every atom and the coordinates
are processed by a graph attention transformer. The rest is our reading. A network that is to name the atoms
of a material it has never seen cannot have one output per element: it scores every atom against every species
known to be present (`atom_graph` says by what they are known) and takes a softmax over them.

Atoms attend to their neighbours (with a bias that depends on the distance), the tokens of the species and one
of the whole particle attend to all atoms, and the atoms to these tokens: what a gold atom looks like in this
measurement is found out from all of it. Lists of neighbours are padded to one length, which makes attention
over a graph one gather and two sums: plain PyTorch, for what torch-geometric would add (scatter over ragged
lists) is not needed, and its compiled parts are one more thing to install.

Not for a particle of a single species but for noise: it names the best of those it is given, and knows no
false atoms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from ase.data import atomic_numbers
from torch import nn

from datasets.errors import InputError
from recon.neural.atom_graph import (
    CUTOFF,
    N_CANDIDATE,
    N_LEVELS,
    N_NEIGHBOURS,
    N_OVERVIEW,
    N_PAIR,
    AtomGraph,
    atom_graph,
)

NEAREST = 0.5
"""Distance [typical bond] of the first radial basis function; the last is at `CUTOFF`."""
CHUNK = 4096
"""Atoms whose neighbours are gathered at once: 44 MB at 20 neighbours and a width of 64."""

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SpeciesSizes:
    """The sizes of a `SpeciesNetwork`; with its `state_dict` they are all there is to keep of it."""

    n_descriptors: int
    width: int = 64
    n_heads: int = 4
    n_layers: int = 3
    n_radial: int = 12
    n_neighbours: int = N_NEIGHBOURS
    dropout: float = 0.0


@dataclass(frozen=True)
class Batch:
    """Particles (`AtomGraph`) side by side, padded to the most atoms and species among them; `atoms` and
    `species` are true for what is there.
    """

    nodes: torch.Tensor
    neighbours: torch.Tensor
    distances: torch.Tensor
    envelope: torch.Tensor
    candidates: torch.Tensor
    overview: torch.Tensor
    pairs: torch.Tensor
    atoms: torch.Tensor
    species: torch.Tensor


def name_atoms(
    model: SpeciesNetwork,
    positions: FloatArray,
    intensities: FloatArray,
    descriptors: FloatArray,
    elements: Sequence[str],
) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """The atomic numbers (n,) of atoms and their probabilities (n, n_species) in the order of `elements`.

    `positions` (n, 3) [Å]; `intensities` (n,) and `descriptors` (n, n_descriptors), of
    `zernike_descriptors`, may have any scale. Raises `InputError`.
    """
    sizes = model.sizes
    graph = atom_graph(positions, intensities, descriptors, elements, n_neighbours=sizes.n_neighbours)
    if descriptors.shape[1] != sizes.n_descriptors:
        raise InputError(
            f"this network knows {sizes.n_descriptors} descriptors of an atom, not {descriptors.shape[1]}"
        )
    if not len(positions):
        return np.empty(0, dtype=np.int64), np.empty((0, len(elements)))
    training = model.training
    model.eval()
    with torch.inference_mode():
        scores = model(collate([graph], next(model.parameters()).device))[0]
        probabilities = scores.double().softmax(dim=-1).cpu().numpy()
    model.train(training)
    numbers = np.array([atomic_numbers[symbol] for symbol in elements])
    return numbers[probabilities.argmax(axis=1)], probabilities


def collate(graphs: Sequence[AtomGraph], device: torch.device | str = "cpu") -> Batch:
    """Graphs with equally many descriptors and neighbours as one padded batch on `device`."""
    n = max(len(graph.nodes) for graph in graphs)
    n_species = max(len(graph.candidates) for graph in graphs)

    def padded(name: str, rows: int) -> torch.Tensor:
        arrays = [getattr(graph, name) for graph in graphs]
        whole = np.zeros((len(graphs), rows, arrays[0].shape[1]), dtype=arrays[0].dtype)
        for row, array in enumerate(arrays):
            whole[row, : len(array)] = array
        return torch.from_numpy(whole).to(device)

    def mask(counts: list[int], rows: int) -> torch.Tensor:
        return torch.from_numpy(np.arange(rows) < np.array(counts)[:, None]).to(device)

    pairs = np.zeros((len(graphs), n, n_species, N_PAIR), dtype=np.float32)
    for row, graph in enumerate(graphs):
        pairs[row, : graph.pairs.shape[0], : graph.pairs.shape[1]] = graph.pairs
    envelope = padded("envelope", n)
    envelope[:, :, 0] = 1.0
    return Batch(
        nodes=padded("nodes", n),
        neighbours=padded("neighbours", n),
        distances=padded("distances", n),
        envelope=envelope,
        candidates=padded("candidates", n_species),
        overview=torch.from_numpy(np.stack([graph.overview for graph in graphs])).to(device),
        pairs=torch.from_numpy(pairs).to(device),
        atoms=mask([len(graph.nodes) for graph in graphs], n),
        species=mask([len(graph.candidates) for graph in graphs], n_species),
    )


class SpeciesNetwork(nn.Module):
    """Scores (batch, n, n_species) of atoms against species; minus infinity for species that are not there.

    Permuting atoms or species permutes the scores; turning, mirroring or moving the particle leaves them.
    """

    def __init__(self, sizes: SpeciesSizes) -> None:
        super().__init__()
        self.sizes = sizes
        width = sizes.width
        self.embed_atom = _perceptron(N_LEVELS + sizes.n_descriptors, width, width)
        self.embed_candidate = _perceptron(N_CANDIDATE, width, width)
        self.embed_overview = _perceptron(N_OVERVIEW, width, width)
        self.guess = nn.Linear(width, width)
        self.layers = nn.ModuleList(_Layer(sizes) for _ in range(sizes.n_layers))
        self.norm_atom, self.norm_token = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width)
        self.pair_atom, self.pair_token = nn.Linear(width, width), nn.Linear(width, width)
        self.pair = nn.Linear(width, 1)
        self.pair_known = nn.Linear(N_PAIR, width)
        self.trust = nn.Parameter(torch.ones(()))

    def forward(self, batch: Batch) -> torch.Tensor:
        """The scores of every atom of `batch`."""
        atoms = self.embed_atom(batch.nodes)
        whole = self.embed_overview(batch.overview)[:, None]
        tokens = torch.cat([whole, self.embed_candidate(batch.candidates)], dim=1)
        there = torch.cat([torch.ones_like(batch.species[:, :1]), batch.species], dim=1)
        share = batch.pairs[..., 0].exp() * batch.species[:, None]
        atoms = atoms + self.guess(share / share.sum(-1, keepdim=True) @ tokens[:, 1:])
        edges = _edges(batch, self.sizes.n_radial)
        for layer in self.layers:
            atoms, tokens = layer(atoms, tokens, edges, batch.atoms, there)
        atoms, candidates = self.norm_atom(atoms), self.norm_token(tokens[:, 1:])
        scores = self.query(atoms) @ self.key(candidates).transpose(1, 2) / self.sizes.width**0.5
        pairs = self.pair_atom(atoms)[:, :, None] + self.pair_token(candidates)[:, None]
        pairs = pairs + self.pair_known(batch.pairs)
        scores = scores + self.pair(nn.functional.gelu(pairs))[..., 0] + self.trust * batch.pairs[..., 0]
        return cast(torch.Tensor, scores.float().masked_fill(~batch.species[:, None], -torch.inf))


@dataclass(frozen=True)
class _Edges:
    """Of every atom in a batch: `index` (batch, n, k) into all atoms of the batch, `basis`
    (batch, n, k, n_radial) of the distance and `bias` (batch, n, k), the logarithm of the envelope.
    """

    index: torch.Tensor
    basis: torch.Tensor
    bias: torch.Tensor


def _edges(batch: Batch, n_radial: int) -> _Edges:
    size, n, _ = batch.neighbours.shape
    device = batch.distances.device
    first = torch.arange(size, device=device)[:, None, None] * n
    centres = torch.linspace(NEAREST, CUTOFF, n_radial, device=device)
    spacing = (CUTOFF - NEAREST) / (n_radial - 1)
    basis = torch.exp(-0.5 * ((batch.distances[..., None] - centres) / spacing) ** 2)
    return _Edges(batch.neighbours + first, basis, batch.envelope.log())


def _perceptron(n_in: int, n_hidden: int, n_out: int, dropout: float = 0.0) -> nn.Sequential:
    layers = [nn.Linear(n_in, n_hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(n_hidden, n_out)]
    return nn.Sequential(*layers)


class _Layer(nn.Module):
    """Atoms ask their neighbours, tokens ask all atoms and one another, atoms ask the tokens."""

    def __init__(self, sizes: SpeciesSizes) -> None:
        super().__init__()
        width, drop = sizes.width, sizes.dropout
        self.neighbours = _NeighbourAttention(sizes)
        self.gather = _Attention(width, sizes.n_heads)
        self.compare = _Attention(width, sizes.n_heads)
        self.spread = _Attention(width, sizes.n_heads)
        self.think_atom = _perceptron(width, 2 * width, width, drop)
        self.think_token = _perceptron(width, 2 * width, width, drop)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(8))
        self.drop = nn.Dropout(drop)

    def forward(
        self,
        atoms: torch.Tensor,
        tokens: torch.Tensor,
        edges: _Edges,
        here: torch.Tensor,
        there: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        norms = self.norms
        atoms = atoms + self.drop(self.neighbours(norms[0](atoms), edges))
        tokens = tokens + self.drop(self.gather(norms[1](tokens), norms[2](atoms), here))
        beside = norms[3](tokens)
        tokens = tokens + self.drop(self.compare(beside, beside, there))
        tokens = tokens + self.drop(self.think_token(norms[4](tokens)))
        atoms = atoms + self.drop(self.spread(norms[5](atoms), norms[6](tokens), there))
        return atoms + self.drop(self.think_atom(norms[7](atoms))), tokens


class _Attention(nn.Module):
    """Multi-head attention of `queries` (batch, q, width) to `keys` (batch, k, width) that `mask` admits."""

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.query, self.key_value = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(self, queries: torch.Tensor, keys: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        size, n, width = queries.shape
        query, key, value = (
            t.view(size, -1, self.n_heads, width // self.n_heads).transpose(1, 2)
            for t in (self.query(queries), *self.key_value(keys).chunk(2, dim=-1))
        )
        mixed = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None])
        return cast(torch.Tensor, self.out(mixed.transpose(1, 2).reshape(size, n, width)))


class _NeighbourAttention(nn.Module):
    """Attention of atoms (batch, n, width) to their neighbours, biased by the distance per head.

    What is passed on is the neighbours' values and, per head, at which distances they are.
    """

    def __init__(self, sizes: SpeciesSizes) -> None:
        super().__init__()
        width = sizes.width
        self.n_heads = sizes.n_heads
        self.query, self.key_value = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.bias = nn.Linear(sizes.n_radial, sizes.n_heads, bias=False)
        self.out = nn.Linear(width + sizes.n_heads * sizes.n_radial, width)

    def forward(self, atoms: torch.Tensor, edges: _Edges) -> torch.Tensor:
        size, n, width = atoms.shape
        depth = width // self.n_heads
        query = self.query(atoms).view(size, n, self.n_heads, depth)
        table = self.key_value(atoms).reshape(size * n, 2 * width)
        parts = []
        for start in range(0, n, CHUNK):
            part = slice(start, start + CHUNK)
            index, basis, bias = edges.index[:, part], edges.basis[:, part], edges.bias[:, part]
            near = table.index_select(0, index.reshape(-1)).view(*index.shape, 2, self.n_heads, depth)
            score = torch.einsum("bnhd,bnkhd->bnkh", query[:, part], near[:, :, :, 0]) * depth**-0.5
            weight = (score + self.bias(basis) + bias[..., None]).float().softmax(dim=2)
            value = torch.einsum("bnkh,bnkhd->bnhd", weight, near[:, :, :, 1].to(weight.dtype))
            where = torch.einsum("bnkh,bnkr->bnhr", weight, basis)
            parts.append(self.out(torch.cat([value.flatten(2), where.flatten(2)], dim=-1)))
        return torch.cat(parts, dim=1)
