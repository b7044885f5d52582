"""The network that names atoms: what its answer must not depend on."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from ase.data import atomic_numbers
from scipy.spatial.transform import Rotation

from datasets.errors import InputError
from recon.neural import species
from recon.neural.atom_graph import atom_graph
from recon.neural.species import SpeciesNetwork, SpeciesSizes, collate, name_atoms

SIZES = SpeciesSizes(n_descriptors=5, width=32, n_layers=2)
ELEMENTS = ["Co", "Pt", "Pd"]

Array = npt.NDArray[np.float64]
Atoms = tuple[Array, Array, Array]


@pytest.fixture(scope="module")
def model() -> SpeciesNetwork:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return SpeciesNetwork(SIZES).eval()


def atoms(n: int = 40, seed: int = 0) -> Atoms:
    rng = np.random.default_rng(seed)
    side = 2.6 * max(n, 1) ** (1 / 3)
    return rng.uniform(0, side, (n, 3)), rng.uniform(0.5, 2, n), rng.uniform(0, 1, (n, SIZES.n_descriptors))


def test_permuting_atoms_permutes_the_answer(model: SpeciesNetwork) -> None:
    measured = atoms()
    order = np.random.default_rng(1).permutation(40)
    numbers, probabilities = name_atoms(model, *measured, ELEMENTS)
    again, permuted = name_atoms(model, *(a[order] for a in measured), ELEMENTS)
    np.testing.assert_allclose(permuted, probabilities[order], atol=1e-5)
    np.testing.assert_array_equal(again, numbers[order])


def test_permuting_species_permutes_the_answer(model: SpeciesNetwork) -> None:
    numbers, probabilities = name_atoms(model, *atoms(), ELEMENTS)
    again, permuted = name_atoms(model, *atoms(), [ELEMENTS[i] for i in (2, 0, 1)])
    np.testing.assert_allclose(permuted, probabilities[:, [2, 0, 1]], atol=1e-5)
    np.testing.assert_array_equal(again, numbers)
    assert set(numbers) <= {atomic_numbers[symbol] for symbol in ELEMENTS}


def test_place_orientation_and_units_do_not_matter(model: SpeciesNetwork) -> None:
    positions, intensities, descriptors = atoms()
    _, before = name_atoms(model, positions, intensities, descriptors, ELEMENTS)
    turned = Rotation.random(random_state=5).apply(positions * [1, 1, -1]) * 1.7 + [40.0, -3.0, 9.0]
    _, after = name_atoms(model, turned, intensities * 1e4, descriptors * 1e-3, ELEMENTS)
    np.testing.assert_allclose(after, before, atol=1e-4)


def test_neighbours_and_the_whole_particle_matter(model: SpeciesNetwork) -> None:
    positions, intensities, descriptors = atoms()
    _, before = name_atoms(model, positions, intensities, descriptors, ELEMENTS)
    apart = positions.copy()
    apart[1:] += 1e3 * np.arange(1, 40)[:, None]
    _, alone = name_atoms(model, apart, intensities, descriptors, ELEMENTS)
    assert np.abs(alone[0] - before[0]).max() > 1e-4
    brighter = intensities.copy()
    brighter[1:10] *= 3
    _, beside = name_atoms(model, apart, brighter, descriptors, ELEMENTS)
    assert np.abs(beside[0] - alone[0]).max() > 1e-4


@pytest.mark.parametrize("n", [0, 1, 2, 5])
@pytest.mark.parametrize("elements", [["Au"], ["Cu", "Au"], ["O", "Ti", "Sr", "Ba"]])
def test_few_atoms_have_probabilities(model: SpeciesNetwork, n: int, elements: list[str]) -> None:
    positions, intensities, descriptors = atoms(n)
    numbers, probabilities = name_atoms(model, positions * 1e3, intensities, descriptors, elements)
    assert numbers.shape == (n,)
    assert probabilities.shape == (n, len(elements))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-9)
    assert (probabilities >= 0).all()


def test_empty_density_has_probabilities(model: SpeciesNetwork) -> None:
    nothing = np.zeros((6, SIZES.n_descriptors))
    _, probabilities = name_atoms(model, np.eye(6)[:, :3], np.zeros(6), nothing, ELEMENTS)
    assert np.isfinite(probabilities).all()


def test_padding_changes_nothing(model: SpeciesNetwork) -> None:
    """A particle is named alike alone and beside larger ones with more species, and gradients are finite."""
    cases = [(atoms(7, 1), ["Cu", "Au"]), (atoms(40, 2), ELEMENTS), (atoms(1, 3), ["Si"])]
    graphs = [atom_graph(*measured, elements) for measured, elements in cases]
    together = model(collate(graphs))
    for row, graph in enumerate(graphs):
        n, c = graph.pairs.shape[:2]
        alone = model(collate([graph]))[0]
        torch.testing.assert_close(together[row, :n, :c], alone, atol=1e-5, rtol=1e-4)
        assert torch.isinf(together[row, :, c:]).all()
    model.zero_grad()
    torch.logsumexp(together, dim=-1).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    model.zero_grad()


def test_chunks_change_nothing(model: SpeciesNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    _, whole = name_atoms(model, *atoms(), ELEMENTS)
    monkeypatch.setattr(species, "CHUNK", 7)
    _, pieces = name_atoms(model, *atoms(), ELEMENTS)
    np.testing.assert_allclose(pieces, whole, atol=1e-6)


def test_weights_are_a_plain_state(model: SpeciesNetwork, tmp_path: Path) -> None:
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    again = SpeciesNetwork(SIZES)
    again.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    np.testing.assert_array_equal(
        name_atoms(again, *atoms(), ELEMENTS)[1], name_atoms(model, *atoms(), ELEMENTS)[1]
    )


def test_default_sizes_are_small() -> None:
    model = SpeciesNetwork(SpeciesSizes(n_descriptors=50))
    assert sum(p.numel() for p in model.parameters()) < 500_000


def test_naming_leaves_the_mode_of_the_network() -> None:
    model = SpeciesNetwork(SpeciesSizes(n_descriptors=5, width=16, n_layers=1, dropout=0.5)).train()
    first, second = (name_atoms(model, *atoms(), ELEMENTS)[1] for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert model.training


def test_other_descriptors_are_refused(model: SpeciesNetwork) -> None:
    positions, intensities, _ = atoms()
    with pytest.raises(InputError, match="descriptors"):
        name_atoms(model, positions, intensities, np.ones((40, 2)), ELEMENTS)
