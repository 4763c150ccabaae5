"""Real classifiers are given exit heads: somewhere on the way, and without a change of what they answer."""

import numpy as np
import pytest

from splitnet.errors import ModelError
from splitnet.graph import load_model
from splitnet.learn.heads import Head, Layers, Scaling, attach, ending_of, places_for
from tests.graph.models import samples
from tests.graph.running import observe, run
from tests.zoo.conftest import Exported

#: How many axes the tensors have that heads read.
CLASSIFIERS = {
    "resnet50": 4,
    "mobilenetv2": 4,
    "vit": 3,
    "convnext": 4,
    "swin": 3,
    "bert": 3,
    "googlenet": 4,
    "densenet": 4,
}


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifier_can_have_exits(name: str, exported: Exported) -> None:
    model = observe(load_model(exported(name)))
    feeds = samples(model, 3)
    before = run(model, feeds)
    ending = ending_of(model)
    places = places_for(model, ending)
    assert {len(place.form.tensor.shape) for place in places} == {CLASSIFIERS[name]}
    shares = [place.share for place in places]
    assert shares == sorted(set(shares))
    assert 0.05 < shares[0] <= shares[-1] < 0.9
    heads = []
    for place in places:
        count = place.form.features
        scaling = Scaling(np.zeros(count, np.float32), np.ones(count, np.float32))
        heads.append(Head(place.form, scaling, Layers.seeded(count, ending.classes, seed=0)))
    attached = attach(model, ending, heads)
    made = run(observe(model), feeds)
    np.testing.assert_array_equal(made[ending.scores], before[ending.scores])
    for one in attached:
        assert made[one.outputs[ending.scores]].shape == (3, ending.classes)
        assert np.isfinite(made[one.confidence]).all()


@pytest.mark.parametrize("name", ["gpt2", "unet", "yolos"])
def test_what_is_no_classifier_cannot(name: str, exported: Exported) -> None:
    with pytest.raises(ModelError, match="only a classifier can be given an exit"):
        ending_of(observe(load_model(exported(name))))
