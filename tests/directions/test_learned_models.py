"""The directions in pickled models of scikit-learn, of which only the attributes are
read.
"""

import numpy as np
import pytest

from ganspace_jax.directions import learned_models
from ganspace_jax.files.inert.records import Name, Record

RNG = np.random.default_rng(0)
DUAL, VECTORS = RNG.standard_normal((1, 5)), RNG.standard_normal((5, 4))


def _model(name, **attributes):
    return Record(Name("sklearn.own", name), state=attributes)


def test_a_linear_classifier_holds_the_normal_of_its_boundary():
    normal = RNG.standard_normal((1, 4))
    found = learned_models.attributes_of(_model("LinearSVC", coef_=normal, intercept_=np.ones(1), C=1.0))
    assert found.keys() == {"coef_"}
    np.testing.assert_array_equal(found["coef_"], normal)
    svc = _model("SVC", kernel="linear", dual_coef_=DUAL, support_vectors_=VECTORS)
    expected = sum(weight * vector for weight, vector in zip(DUAL[0], VECTORS, strict=True))
    np.testing.assert_allclose(learned_models.attributes_of(svc)["coef_"], [expected])


def test_a_decomposition_holds_components_mean_and_variances():
    arrays = {"components_": VECTORS, "mean_": np.ones(4), "explained_variance_": np.arange(5.0)}
    found = learned_models.attributes_of(_model("PCA", **arrays, n_components=5))
    assert found.keys() == arrays.keys()


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"kernel": "rbf", "dual_coef_": DUAL, "support_vectors_": VECTORS},
        {"kernel": "linear", "dual_coef_": np.ones((3, 5)), "support_vectors_": VECTORS},
        {"components_": VECTORS, "mixing_": VECTORS.T},
    ],
)
def test_other_models_are_refused_by_the_name_of_their_class(attributes):
    with pytest.raises(ValueError, match=r"an object of the class sklearn\.own\.Other, which has no directions"):
        learned_models.attributes_of(_model("Other", **attributes))


def test_other_values_are_returned_as_they_are():
    assert learned_models.attributes_of(VECTORS) is VECTORS and not learned_models.is_model(Record(Name("a", "b")))
