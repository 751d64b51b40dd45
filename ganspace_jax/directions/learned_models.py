"""Finds the directions in scikit-learn's pickled classifiers and decompositions.

    LinearSVC, LogisticRegression   coef_ [k, d]: normals of the boundaries
    SVC with a linear kernel        dual_coef_ [1, n] and support_vectors_ [n, d], whose
                                    product is coef_
    PCA, IncrementalPCA             components_ [k, d], mean_, explained_variance_

The objects are inert records, so neither scikit-learn nor the file's code runs.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ganspace_jax.files.inert.records import Record


def is_model(value: Any) -> bool:
    """Returns whether a value is an object with attributes."""
    return isinstance(value, Record) and bool(value.attributes)


def attributes_of(content: Any) -> Any:
    """Returns the arrays of a model by name. A content that is no object is returned as
    it is.

    Raises:
        ValueError: if the object holds no directions.
    """
    if not isinstance(content, Record):
        return content
    attributes = content.attributes
    if isinstance(attributes.get("coef_"), np.ndarray):
        return {"coef_": attributes["coef_"]}
    if attributes.get("kernel") == "linear":
        dual, vectors = _matrix(attributes, "dual_coef_"), _matrix(attributes, "support_vectors_")
        if dual is not None and vectors is not None and dual.shape == (1, len(vectors)):
            return {"coef_": dual @ vectors}
    if isinstance(attributes.get("components_"), np.ndarray) and "mixing_" not in attributes:
        names = ("components_", "mean_", "explained_variance_")
        return {name: attributes[name] for name in names if isinstance(attributes.get(name), np.ndarray)}
    raise ValueError(f"it holds an object of the class {content.name}, which has no directions")


def _matrix(attributes: Mapping[str, Any], name: str) -> np.ndarray | None:
    value = attributes.get(name)
    return value if isinstance(value, np.ndarray) and value.ndim == 2 else None
