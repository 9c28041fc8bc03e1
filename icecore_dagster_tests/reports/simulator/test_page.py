"""The simulator's page from a small drawn set: what it says is what was measured."""

import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from icecore_dagster.learning.realism.validation import (
    NETWORKS,
    RealismConfig,
    RealismFindings,
    RealParticle,
    validate_simulator,
)
from icecore_dagster.particles.labels import LABEL_KEYS
from icecore_dagster.reports.simulator.figures import side_by_side
from icecore_dagster.reports.simulator.page import realism_numbers, render_realism_page, write_realism_page

COMMAND = "icecore simulate --validate"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> RealismFindings:
    config = RealismConfig(particles=1_000, seeds=(3,), epochs=0, sample=60)
    return validate_simulator(tmp_path_factory.mktemp("drawn"), config)


@pytest.fixture(scope="module")
def with_real(drawn) -> RealismFindings:
    """The same with one real particle, named rightly by LightGBM and wrongly by the network."""
    real = RealParticle("grain.png", "camp", drawn.samples["camp"][0].crop)
    says = {"A3": ("grim", 0.2), "hybrid_strided": ("grim", 0.3), "LightGBM": ("camp", 0.9), "mean": ("camp", 0.6)}
    named = {key: value for model, (name, p) in says.items() for key, value in ((model, name), (f"p_{model}", p))}
    recognised = pd.DataFrame([{"name": "grain.png", "label": "camp", **named, "strangeness": 0.5}])
    (seed,) = drawn.seeds
    found = replace(
        seed,
        networks=dict.fromkeys(NETWORKS, seed.difficulty["six_class"]),
        recognised=recognised,
        anomalies_strange=0.7,
        anomaly_auc=0.9,
    )
    return replace(drawn, seeds=(found,), real=(real,))


def test_the_page_holds_every_picture_and_fetches_nothing(drawn):
    page = render_realism_page(drawn, COMMAND)
    assert page.count("data:image/png;base64,") == len(LABEL_KEYS) + 1 + 4
    assert not re.search(r"(src|href)=\"https?:", page)
    assert COMMAND in page
    assert "No network was trained" in page


def test_a_real_particle_is_shown_with_what_each_model_calls_it(with_real):
    page = render_realism_page(with_real, COMMAND)
    assert "grain.png" in page
    assert "A3 0.20: Basaltic tephra" in page
    assert "LightGBM 0.90<" in page
    assert "0 of 1" in page, "named by the networks"
    assert "1 of 1" in page, "named by LightGBM and the mean"


def test_the_numbers_beside_the_page_are_those_measured(with_real, tmp_path):
    page = tmp_path / "simulator.html"
    write_realism_page(with_real, page, COMMAND)
    numbers = json.loads(page.with_suffix(".json").read_text())
    assert numbers == json.loads(json.dumps(realism_numbers(with_real, COMMAND)))
    accuracy = next(r for r in numbers["difficulty"] if (r["task"], r["measure"]) == ("six_class", "accuracy"))
    assert accuracy["seeds"] == [with_real.seeds[0].difficulty["six_class"].accuracy]
    assert accuracy["study"] == 0.909
    assert page.exists()


def test_crops_stand_side_by_side_at_one_scale_with_the_real_one_framed(with_real, picture):
    (real,) = with_real.real
    alone = picture(side_by_side(None, with_real.samples["camp"], 0.277))
    framed = picture(side_by_side(real, with_real.samples["camp"], 0.277))
    orange = (np.abs(framed[..., :3].astype(int) - (0xD9, 0x48, 0x0F)).max(axis=-1) < 30).sum()
    assert orange > 200
    assert alone.shape != framed.shape
