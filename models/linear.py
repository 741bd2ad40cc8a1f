"""The arithmetic core: an einsum of an example with quantised weights and a bias.

Dense layers and convolutions differ in how they arrange their inputs; what they do with
them is here.  All of it that no example enters is done by `evaluated`:

    kernel = Q_w(w s)        bias = Q_b(beta - mean s)        s = gamma / sqrt(var + 1e-3)

with `mean` and `var` of the sums themselves.  Batch normalisation watches the layer's
*inputs*: from their mean `m` and covariance `C` follow, exactly and differentiably in
`w`, the mean `w.m` and the variance `w.C.w` of every sum.  The statistics are running
ones and the same in training, in evaluation and in the firmware.

Products of quantised numbers are multiples of a power of two, and a float32 sum of them
is exact, in any order, while the sum of their magnitudes stays below `2**24` steps of
the finest.  Beyond that the firmware is exact and the training is not; the proof of a
bundle compares the two.
"""

import math
import string
from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from models import cost
from models.latency import Arrivals, through_sum
from models.layer import Evaluated, Layer
from models.observe import observe
from models.quantiser import Quantiser, for_biases, for_weights
from models.ranges import FINE, Ranges
from models.shape import Contraction, relabel
from models.statistic import Statistic
from models.symbols import Recorder, Symbols, Wire
from trigger.errors import UserError

BN_EPSILON = 1e-3
"""As in Keras and HGQ: added to every variance."""


@final
class EvaluatedLinear(Evaluated):
    """The einsum with the weights that the firmware holds."""

    kernel: Float[Array, "*kernel"]
    """Quantised: multiples of a power of two."""
    bias: Float[Array, "*channels"] | None
    x_bits: Float[Array, "*x"] | None
    kernel_bits: Float[Array, "*kernel"]
    bias_bits: Float[Array, "*channels"] | None
    moments: Float[Array, "shared n n"] | None
    """The statistic's value, which the inputs are shown to."""
    iq: Quantiser | None
    plan: Contraction = eqx.field(static=True)

    def __call__(self, x: Any) -> Any:
        """One example, wires or arrival times through the layer.

        Raises:
            UserError: `x` does not have the shape that the layer was made for.
        """
        if x.shape != self.plan.x_shape:
            raise UserError(
                f"a layer {self.plan.equation!r} was made for inputs of shape "
                f"{self.plan.x_shape} and got {x.shape}; layers take one example, "
                "jax.vmap takes batches"
            )
        if self.iq is not None:
            x = self.iq(x)
        if isinstance(x, Symbols):
            return self._on_wires(x)
        if isinstance(x, Arrivals):
            return self._on_arrivals(x)
        if isinstance(x, Ranges):
            return self._on_ranges(x)
        if self.moments is not None:
            x = observe(lambda batch: _moments(self.plan, batch), self.moments, x)
        # A GPU's default would round the factors to fewer bits than they have.
        y = jnp.einsum(
            self.plan.equation, x, self.kernel, precision=jax.lax.Precision.HIGHEST
        )
        if self.bias is None:
            return y
        return y + relabel(self.bias, self.plan.channels, self.plan.out)

    def _on_wires(self, x: Symbols) -> Symbols:
        plan = self.plan
        wires = plan.terms(x.wires, plan.x)
        weights = plan.terms(np.asarray(self.kernel, np.float64), plan.kernel)
        shape = plan.shape(plan.out)
        bias = np.zeros(shape)
        if self.bias is not None:
            own = np.asarray(self.bias, np.float64)
            bias = np.broadcast_to(relabel(own, plan.channels, plan.out), shape)
        out = np.empty(shape, object)
        for at in np.ndindex(shape):
            of_sum = (slice(None), *at)
            out[at] = weighted_sum(
                x.recorder, wires[of_sum], weights[of_sum], float(bias[at])
            )
        return Symbols(out, x.recorder)

    def _on_arrivals(self, x: Arrivals) -> Arrivals:
        plan = self.plan
        x_bits = plan.terms(self._input_bits(), plan.x)
        digits = plan.terms(
            cost.signed_digits(self.kernel, self.kernel_bits), plan.kernel
        )
        # Of the integer sum, as if all its terms had the same LSB.
        bits = x_bits + plan.terms(self.kernel_bits, plan.kernel)
        of_sums = jnp.log2(jnp.sum(jnp.exp2(bits), axis=0))
        terms = x.moved(lambda times: plan.terms(times, plan.x))
        return through_sum(terms, digits, of_sums)

    def _on_ranges(self, x: Ranges) -> Ranges:
        def ends(low: Array, high: Array) -> Array:
            up, down = jnp.maximum(self.kernel, 0.0), jnp.minimum(self.kernel, 0.0)
            y = jnp.einsum(self.plan.equation, low, up)
            y = y + jnp.einsum(self.plan.equation, high, down)
            if self.bias is None:
                return y
            return y + relabel(self.bias, self.plan.channels, self.plan.out)

        least, most = ends(x.least, x.most), ends(x.most, x.least)
        return Ranges(least, most, jnp.full(least.shape, FINE), x.bill)

    def luts(self) -> Float[Array, ""]:
        """LUTs of the multiplications and of the trees of adders behind."""
        return cost.linear_luts(
            self.plan.equation, self._input_bits(), self.kernel, self.kernel_bits
        )

    def ebops(self) -> Float[Array, ""]:
        """As HGQ counts them: bits of both factors of every product, bits of biases."""
        return cost.linear_ebops(
            self.plan.equation, self._input_bits(), self.kernel_bits, self.bias_bits
        )

    def _input_bits(self) -> Float[Array, "*x"]:
        if self.x_bits is None:
            raise UserError(
                f"a layer {self.plan.equation!r} does not know how wide its inputs are, "
                "so neither what it costs; give it a quantiser of its inputs (iq) or, "
                "if the layer before has quantised them, their input_bits"
            )
        return self.x_bits


def weighted_sum(
    recorder: Recorder, wires: Any, weights: Any, bias: float = 0.0
) -> Wire:
    """`sum_i weights[i] * wires[i] + bias` as one integer operation, exactly.

    Args:
        recorder: What the wires are nodes of.
        wires: Any number of `Wire`.
        weights: As many floats; zeros are dropped.
        bias: A float.
    """
    parts = [
        (wire, *float(weight).as_integer_ratio())
        for wire, weight in zip(wires, weights, strict=True)
        if weight
    ]
    top, bottom = bias.as_integer_ratio()
    # Denominators are powers of two; 2**exponent makes all of the sum whole.
    fractions = [wire.exponent + den.bit_length() - 1 for wire, _, den in parts]
    fractions += [bottom.bit_length() - 1] if bias else []
    exponent = max(fractions, default=0)
    whole = [
        num << (exponent - fraction)
        for (_, num, _), fraction in zip(parts, fractions, strict=False)
    ]
    total = (top << (exponent - bottom.bit_length() + 1)) if bias else 0
    return Wire(recorder.sum([w.node for w, _, _ in parts], whole, total), exponent)


def _moments(
    plan: Contraction, x: Float[Array, "examples *shape"]
) -> Float[Array, "shared n n"]:
    """Second moments of `(1, inputs)`, per shared axis, over examples and positions.

    The one in front makes the matrix hold count, sums and products alike, so that
    whatever adds up several of them leaves mean and covariance as they are.
    """
    batch = next(a for a in string.ascii_letters if a not in plan.x)
    u = relabel(
        x, batch + plan.x, plan.shared + batch + plan.positions + plan.contracted
    )
    u = u.reshape(plan.size(plan.shared), -1, plan.size(plan.contracted))
    u = jnp.concatenate([jnp.ones((*u.shape[:2], 1), u.dtype), u], axis=2)
    products = jnp.einsum("snc,snd->scd", u, u, precision=jax.lax.Precision.HIGHEST)
    return products / u.shape[1]


def _mean_and_variance(
    plan: Contraction,
    kernel: Float[Array, "*kernel"],
    moments: Float[Array, "shared n n"],
) -> tuple[Float[Array, "*channels"], Float[Array, "*channels"]]:
    """Of the sums, from the moments of the inputs."""
    count = moments[:, :1, :1]
    mean, product = moments[:, 0, 1:] / count[:, 0], moments[:, 1:, 1:] / count
    spread = product - mean[:, :, None] * mean[:, None, :]
    w = relabel(kernel, plan.kernel, plan.shared + plan.contracted + plan.outputs)
    w = w.reshape(
        plan.size(plan.shared), plan.size(plan.contracted), plan.size(plan.outputs)
    )
    of_sums = (
        jnp.einsum("sco,sc->so", w, mean),
        # A sum of squares in exact arithmetic; rounding must not make it negative.
        jnp.maximum(jnp.einsum("sco,scd,sdo->so", w, spread, w), 0.0),
    )
    axes = plan.shared + plan.outputs
    first, second = (
        relabel(m.reshape(plan.shape(axes)), axes, plan.channels) for m in of_sums
    )
    return first, second


@final
class Linear(Layer):
    """Trainable weights of an einsum; `Dense`, `EinsumDense` and convolutions hold one."""

    kernel: Float[Array, "*kernel"]
    bias: Float[Array, "*channels"] | None
    """Without batch normalisation."""
    gamma: Float[Array, "*channels"] | None
    beta: Float[Array, "*channels"] | None
    moments: Statistic | None
    """Second moments of `(1, inputs)`."""
    iq: Quantiser | None
    kernel_quantiser: Quantiser
    bias_quantiser: Quantiser | None
    plan: Contraction = eqx.field(static=True)
    input_bits: int | None = eqx.field(static=True)

    def __init__(
        self,
        plan: Contraction,
        *,
        iq: Quantiser | None = None,
        batch_norm: bool = False,
        use_bias: bool = True,
        input_bits: int | None = None,
        kernel_quantiser: Quantiser | None = None,
        bias_quantiser: Quantiser | None = None,
        key: PRNGKeyArray,
    ):
        """Draws the weights uniformly, as Glorot and Bengio do.

        Args:
            plan: What is summed, from `contraction`.
            iq: Quantiser of the inputs.
            batch_norm: Normalise every sum; it brings its own bias.
            use_bias: Whether there is a bias without batch normalisation.
            input_bits: Bits of the inputs if there is no `iq`; only costs need them.
            kernel_quantiser: Of the weights; HGQ's default per element if not given.
            bias_quantiser: Of the bias; HGQ's default per element if not given.
            key: Source of the weights.

        Raises:
            UserError: A quantiser's widths do not broadcast against what it quantises.
        """
        n_in, n_out = plan.size(plan.contracted), plan.size(plan.outputs)
        limit = math.sqrt(6.0 / (n_in + n_out))
        self.kernel = jr.uniform(key, plan.kernel_shape, minval=-limit, maxval=limit)
        channels = plan.shape(plan.channels)
        with_bias = use_bias or batch_norm
        self.bias = jnp.zeros(channels) if use_bias and not batch_norm else None
        self.gamma = jnp.ones(channels) if batch_norm else None
        self.beta = jnp.zeros(channels) if batch_norm else None
        start = jnp.broadcast_to(
            jnp.eye(1 + n_in), (plan.size(plan.shared), 1 + n_in, 1 + n_in)
        )
        self.moments = Statistic(start, "mean") if batch_norm else None
        self.iq = fitting(iq, plan.x_shape, "inputs")
        self.kernel_quantiser = kernel_quantiser or for_weights(plan.kernel_shape)
        self.bias_quantiser = (
            (bias_quantiser or for_biases(channels)) if with_bias else None
        )
        fitting(self.kernel_quantiser, plan.kernel_shape, "weights")
        fitting(self.bias_quantiser, channels, "bias")
        self.plan = plan
        self.input_bits = input_bits

    def evaluated(self) -> EvaluatedLinear:
        """Folds the batch normalisation in and quantises what is left."""
        x_bits = None if self.input_bits is None else jnp.float32(self.input_bits)
        if self.iq is not None:
            x_bits = self.iq.factor_bits()
        return self.reading(x_bits)

    def reading(self, x_bits: Float[Array, "*#x"] | None) -> EvaluatedLinear:
        """The evaluated form for inputs of given bits, which broadcast."""
        plan, kernel, bias, moments = self.plan, self.kernel, self.bias, None
        if (
            self.gamma is not None
            and self.beta is not None
            and self.moments is not None
        ):
            moments = self.moments.value
            # What comes back to the statistic is an observation, never a gradient.
            known = jax.lax.stop_gradient(moments)
            mean, var = _mean_and_variance(plan, kernel, known)
            scale = self.gamma / jnp.sqrt(var + BN_EPSILON)
            kernel = kernel * relabel(scale, plan.channels, plan.kernel)
            bias = self.beta - mean * scale
        bias_bits = None
        if bias is not None and self.bias_quantiser is not None:
            bias = self.bias_quantiser(bias)
            bias_bits = jnp.broadcast_to(self.bias_quantiser.factor_bits(), bias.shape)
        if x_bits is not None:
            x_bits = jnp.broadcast_to(x_bits, plan.x_shape)
        return EvaluatedLinear(
            kernel=self.kernel_quantiser(kernel),
            bias=bias,
            x_bits=x_bits,
            kernel_bits=jnp.broadcast_to(
                self.kernel_quantiser.factor_bits(), plan.kernel_shape
            ),
            bias_bits=bias_bits,
            moments=moments,
            iq=self.iq,
            plan=plan,
        )


def fitting(
    quantiser: Quantiser | None, shape: tuple[int, ...], what: str
) -> Quantiser | None:
    """The quantiser, if its widths broadcast against `what` it quantises.

    Raises:
        UserError: They do not.
    """
    if quantiser is not None:
        grain = quantiser.width.shape
        wide = len(grain) <= len(shape) and all(
            g in (1, n) for g, n in zip(grain[::-1], shape[::-1], strict=False)
        )
        if not wide:
            raise UserError(
                f"the quantiser of the {what} has widths of shape {grain}, which do not "
                f"broadcast against the {what} of shape {shape}; give it one width per "
                "element, or axes of length 1 where elements share one"
            )
    return quantiser
