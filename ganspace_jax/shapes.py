"""The jaxtyping names that public boundaries use."""

from jax import Array
from jaxtyping import Bool, Float, Int, Key, UInt8

PRNGKey = Key[Array, ""]

__all__ = ["Array", "Bool", "Float", "Int", "Key", "PRNGKey", "UInt8"]
