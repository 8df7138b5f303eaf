"""What a program's operations do, compiled by numba. Importing this compiles it, or reads what was compiled before.

`w` holds the weights and `m` the values, both flat. Every number is a uint64, because a signed place is checked for
being negative and a mixed sum is a float to numba. Places of values are those of one row, to be multiplied by `rows`.

Sums may be taken in another order (`reassoc`), so that they are vectorised, but NaN and infinity keep their meaning,
and comparisons are written so that NaN stays NaN: an overflow must not end as a score that looks sound. What is
computed for a row does not depend on how many rows there are.
"""

from __future__ import annotations

import warnings
from math import exp, expm1, pi, sqrt

import numpy as np
from numba import carray, cfunc, njit, types
from numba.extending import intrinsic

from axon_backend_safetensors.layers.elementwise import ERF_EVEN, ERF_ODD
from axon_backend_safetensors.program import HEAD, WORDS, Op

U, F = np.uint64, np.float32
FAST = {"reassoc", "contract", "nsz", "arcp"}
compiled = njit(fastmath=FAST, error_model="numpy", nogil=True)

(
    END, RELU, TANH, SIGMOID, SILU, GELU, GELU_TANH, ELU, LEAKY_RELU, SOFTMAX, DENSE, LAYER_NORM, GRU, LSTM, POOL,
    TRANSPOSE, ADD, ADD_WEIGHTS, ATTENTION, CONVOLUTION, PAD, EMBEDDING, COPY,
) = map(U, Op)  # fmt: skip
FIRST, STEP = U(HEAD), U(WORDS)
N0, N1, N2, N3, N4, N5, N6, N7, N8, N9, N10, N11, N12 = map(U, range(WORDS))
ZERO, HALF, ONE, FOUR = F(0), F(0.5), F(1), F(4)

TANH_BOUND = F(7.90531110763549805)
A0, A1, A2, A3, A4, A5, A6 = (
    F(4.89352455891786e-03),
    F(6.37261928875436e-04),
    F(1.48572235717979e-05),
    F(5.12229709037114e-08),
    F(-8.60467152213735e-11),
    F(2.00018790482477e-13),
    F(-2.76076847742355e-16),
)
B0, B1, B2, B3 = F(4.89352518554385e-03), F(2.26843463243900e-03), F(1.18534705686654e-04), F(1.19825839466702e-06)
C0, C1, C2, C3, C4, C5, C6 = map(F, ERF_ODD)
D0, D1, D2, D3, D4 = map(F, ERF_EVEN)
ROOT_HALF, GELU_CUBE, GELU_SCALE = F(sqrt(0.5)), F(0.044715), F(sqrt(2 / pi))


@compiled
def tanh(x):
    """The rational minimax fit that Eigen uses for float32, within 3e-7; libm's would not be vectorised.

    Beyond the bound it is 1, so that a gate that is closed lets nothing through.
    """
    s = x * x
    odd = x * (A0 + s * (A1 + s * (A2 + s * (A3 + s * (A4 + s * (A5 + s * A6))))))
    y = odd / (B0 + s * (B1 + s * (B2 + s * B3)))
    y = ONE if x > TANH_BOUND else y
    return -ONE if x < -TANH_BOUND else y


@compiled
def sigmoid(x):
    """Through tanh, which cannot overflow."""
    return HALF * tanh(HALF * x) + HALF


@compiled
def erf(x):
    """As in layers/elementwise.py."""
    x = FOUR if x > FOUR else x
    x = -FOUR if x < -FOUR else x
    s = x * x
    odd = x * (C0 + s * (C1 + s * (C2 + s * (C3 + s * (C4 + s * (C5 + s * C6))))))
    return odd / (D0 + s * (D1 + s * (D2 + s * (D3 + s * D4))))


@compiled
def relu_(m, x, size):
    """In place, like all that follow; NaN stays NaN."""
    for i in range(size):
        v = m[x + i]
        m[x + i] = ZERO if v < ZERO else v


@compiled
def tanh_(m, x, size):
    """In place."""
    for i in range(size):
        m[x + i] = tanh(m[x + i])


@compiled
def sigmoid_(m, x, size):
    """In place."""
    for i in range(size):
        m[x + i] = sigmoid(m[x + i])


@compiled
def silu_(m, x, size):
    """In place."""
    for i in range(size):
        m[x + i] *= sigmoid(m[x + i])


@compiled
def gelu_(m, x, size):
    """In place, with erf."""
    for i in range(size):
        v = m[x + i]
        m[x + i] = v * (ONE + erf(v * ROOT_HALF)) * HALF


@compiled
def gelu_tanh_(m, x, size):
    """In place, torch's `approximate="tanh"`."""
    for i in range(size):
        v = m[x + i]
        m[x + i] = v * (ONE + tanh(GELU_SCALE * (v * (ONE + GELU_CUBE * (v * v))))) * HALF


@compiled
def elu_(m, x, size, alpha):
    """In place."""
    for i in range(size):
        v = m[x + i]
        m[x + i] = alpha * F(expm1(v)) if v < ZERO else v


@compiled
def leaky_relu_(m, x, size, slope):
    """In place."""
    for i in range(size):
        v = m[x + i]
        m[x + i] = slope * v if v < ZERO else v


@compiled
def softmax_(m, x, size):
    """In place, of one vector."""
    edge = m[x]
    for i in range(N1, size):
        v = m[x + i]
        edge = v if v > edge or v != v else edge
    total = ZERO
    for i in range(size):
        v = F(exp(m[x + i] - edge))
        m[x + i] = v
        total += v
    for i in range(size):
        m[x + i] /= total


@compiled
def dense(w, m, weight, bias, x, y, count, outputs, inputs):
    """`y = W x + b` for `count` vectors, by four rows of W: x is read once for them, and they once for all vectors."""
    o = N0
    while o + N4 <= outputs:
        first = weight + o * inputs
        second, third, fourth = first + inputs, first + N2 * inputs, first + N3 * inputs
        for row in range(count):
            given, made = x + row * inputs, y + row * outputs + o
            s0, s1, s2, s3 = ZERO, ZERO, ZERO, ZERO
            for i in range(inputs):
                v = m[given + i]
                s0 += w[first + i] * v
                s1 += w[second + i] * v
                s2 += w[third + i] * v
                s3 += w[fourth + i] * v
            m[made] = s0 + w[bias + o]
            m[made + N1] = s1 + w[bias + o + N1]
            m[made + N2] = s2 + w[bias + o + N2]
            m[made + N3] = s3 + w[bias + o + N3]
        o += N4
    while o < outputs:
        first = weight + o * inputs
        for row in range(count):
            given = x + row * inputs
            s = ZERO
            for i in range(inputs):
                s += w[first + i] * m[given + i]
            m[y + row * outputs + o] = s + w[bias + o]
        o += N1


@compiled
def layer_norm(w, m, x, y, count, width, weight, bias, eps):
    """`count` vectors."""
    share = ONE / F(width)
    for row in range(count):
        a, b = x + row * width, y + row * width
        mean = ZERO
        for i in range(width):
            mean += m[a + i]
        mean *= share
        square = ZERO
        for i in range(width):
            v = m[a + i] - mean
            square += v * v
        spread = F(sqrt(square * share + w[eps]))
        for i in range(width):
            m[b + i] = (m[a + i] - mean) / spread * w[weight + i] + w[bias + i]


@compiled
def gru(w, m, given, y, time, hidden, weight, bias, sums, stride, reverse, last):
    """One row; r and z are tanh + 1, and the halves are in the weights, as in layers/recurrent.py."""
    h = sums + N3 * hidden
    for i in range(hidden):
        m[h + i] = ZERO
    for count in range(time):
        t = time - N1 - count if reverse else count
        a, b = given + t * N3 * hidden, y + t * stride
        dense(w, m, weight, bias, h, sums, N1, N3 * hidden, hidden)
        for i in range(hidden):
            r = tanh(m[a + i] + m[sums + i]) + ONE
            z = tanh(m[a + hidden + i] + m[sums + hidden + i]) + ONE
            n = tanh(m[a + N2 * hidden + i] + r * m[sums + N2 * hidden + i])
            m[sums + i] = n + (m[h + i] - n) * z * HALF
        for i in range(hidden):
            v = m[sums + i]
            m[h + i] = v
            m[b + i] = v
    for i in range(hidden):
        m[last + i] = m[h + i]


@compiled
def lstm(w, m, given, y, time, hidden, weight, bias, sums, stride, reverse, last):
    """One row; gates are i, f, o, g, as in layers/recurrent.py."""
    h = sums + N4 * hidden
    c = h + hidden
    for i in range(N2 * hidden):
        m[h + i] = ZERO
    for count in range(time):
        t = time - N1 - count if reverse else count
        a, b = given + t * N4 * hidden, y + t * stride
        dense(w, m, weight, bias, h, sums, N1, N4 * hidden, hidden)
        for i in range(hidden):
            taken = HALF * tanh(m[a + i] + m[sums + i]) + HALF
            kept = HALF * tanh(m[a + hidden + i] + m[sums + hidden + i]) + HALF
            shown = HALF * tanh(m[a + N2 * hidden + i] + m[sums + N2 * hidden + i]) + HALF
            cell = kept * m[c + i] + taken * tanh(m[a + N3 * hidden + i] + m[sums + N3 * hidden + i])
            m[c + i] = cell
            m[sums + i] = shown * tanh(cell)
        for i in range(hidden):
            v = m[sums + i]
            m[h + i] = v
            m[b + i] = v
    for i in range(hidden):
        m[last + i] = m[h + i]


@compiled
def pool(m, x, y, time, width, how, axis):
    """One row; `how` is 0 for the mean, 1 for the maximum, 2 for the last."""
    outputs, count, ahead, step = (width, time, N1, width) if axis == N0 else (time, width, width, N1)
    for o in range(outputs):
        first = x + o * ahead
        v = m[first + (count - N1) * step]
        if how == N0:
            v = ZERO
            for i in range(count):
                v += m[first + i * step]
            v *= ONE / F(count)
        elif how == N1:
            for i in range(count):
                one = m[first + i * step]
                v = one if one > v or one != one else v
        m[y + o] = v


@compiled
def attention(m, x, y, time, heads, size, scores):
    """One row; `x` is [time, 3, heads, size]."""
    width = heads * size
    for head in range(heads):
        for t in range(time):
            q, o = x + t * N3 * width + head * size, y + t * width + head * size
            for u in range(time):
                k = x + (u * N3 + N1) * width + head * size
                s = ZERO
                for i in range(size):
                    s += m[q + i] * m[k + i]
                m[scores + u] = s
            softmax_(m, scores, time)
            for i in range(size):
                m[o + i] = ZERO
            for u in range(time):
                v, share = x + (u * N3 + N2) * width + head * size, m[scores + u]
                for i in range(size):
                    m[o + i] += share * m[v + i]


@compiled
def convolution(w, m, x, y, weight, bias, outputs, length, steps, kernel, stride, dilation, made, inputs):
    """One row; `made` channels come out of a group of `inputs`."""
    for o in range(outputs):
        out = y + o * steps
        for t in range(steps):
            m[out + t] = w[bias + o]
        for c in range(inputs):
            line = x + ((o // made) * inputs + c) * length
            for j in range(kernel):
                share, first = w[weight + (o * inputs + c) * kernel + j], line + j * dilation
                for t in range(steps):
                    m[out + t] += share * m[first + t * stride]


@compiled
def embedding(w, m, x, y, count, table, entries, width):
    """Numbers are cut to whole ones and clipped to the entries there are."""
    highest = F(entries - N1)
    for i in range(count):
        v = m[x + i]
        v = v if v > ZERO else ZERO
        pick = U(highest if v > highest else v)
        for j in range(width):
            m[y + i * width + j] = w[table + pick * width + j]


@compiled
def activate(w, m, op, x, size, setting):
    """The activations that see each value alone."""
    if op == RELU:
        relu_(m, x, size)
    elif op == TANH:
        tanh_(m, x, size)
    elif op == SIGMOID:
        sigmoid_(m, x, size)
    elif op == SILU:
        silu_(m, x, size)
    elif op == GELU:
        gelu_(m, x, size)
    elif op == GELU_TANH:
        gelu_tanh_(m, x, size)
    elif op == ELU:
        elu_(m, x, size, w[setting])
    else:
        leaky_relu_(m, x, size, w[setting])


@compiled
def one_row(w, m, p, at, rows, row):
    """The operations that see a row as a whole."""
    op = p[at]
    a, b, c, d, e, f = p[at + N1], p[at + N2], p[at + N3], p[at + N4], p[at + N5], p[at + N6]
    g, h, i, j, k, n = p[at + N7], p[at + N8], p[at + N9], p[at + N10], p[at + N11], p[at + N12]
    if op == GRU:
        x, y, sums = a * rows + row * c * N3 * d, b * rows + row * c * h + i, g * rows + row * N4 * d
        gru(w, m, x, y, c, d, e, f, sums, h, j, k * rows + row * d)
    elif op == LSTM:
        x, y, sums = a * rows + row * c * N4 * d, b * rows + row * c * h + i, g * rows + row * N6 * d
        lstm(w, m, x, y, c, d, e, f, sums, h, j, k * rows + row * d)
    elif op == POOL:
        y = b * rows + row * (d if f == N0 else c)
        pool(m, a * rows + row * c * d, y, c, d, e, f)
    elif op == TRANSPOSE:
        x, y = a * rows + row * c * d, b * rows + row * c * d
        for s in range(c):
            for t in range(d):
                m[y + t * c + s] = m[x + s * d + t]
    elif op == ADD_WEIGHTS:
        for s in range(c):
            m[b * rows + row * c + s] += w[a + s]
    elif op == ATTENTION:
        x, y = a * rows + row * c * N3 * d * e, b * rows + row * c * d * e
        attention(m, x, y, c, d, e, f * rows + row * c)
    elif op == CONVOLUTION:
        x, y = a * rows + row * f * g, b * rows + row * e * h
        made = e // (f // n)
        convolution(w, m, x, y, c, d, e, g, h, i, j, k, made, n)
    elif op == COPY:
        for s in range(b):
            m[c * rows + row * d + e + s] = m[a * rows + row * b + s]


@compiled
def execute(p, w, m, rows):
    """Run the operations of `p`; how their arguments are laid out is `Program`'s."""
    at = FIRST
    while p[at] != END:
        op = p[at]
        a, b, c, d, e, f = p[at + N1], p[at + N2], p[at + N3], p[at + N4], p[at + N5], p[at + N6]
        g = p[at + N7]
        if op < SOFTMAX:
            activate(w, m, op, a * rows, b * c * rows, d)
        elif op == DENSE:
            dense(w, m, a, b, c * rows, d * rows, e * rows, f, g)
        elif op == SOFTMAX:
            for row in range(b * rows):
                softmax_(m, a * rows + row * c, c)
        elif op == LAYER_NORM:
            layer_norm(w, m, a * rows, b * rows, c * rows, d, e, f, g)
        elif op == ADD:
            for s in range(c * rows):
                m[b * rows + s] += m[a * rows + s]
        elif op == EMBEDDING:
            embedding(w, m, a * rows, b * rows, c * rows, d, e, f)
        elif op == PAD:
            width = d + e + f
            for row in range(c * rows):
                x, y = a * rows + row * d, b * rows + row * width
                for s in range(width):
                    m[y + s] = ZERO
                for s in range(d):
                    m[y + e + s] = m[x + s]
        else:
            for row in range(rows):
                one_row(w, m, p, at, rows, row)
        at += STEP


@intrinsic
def words_at(_context, address):
    """The address as a pointer to words."""
    return _pointer(types.uint64, address)


@intrinsic
def floats_at(_context, address):
    """The address as a pointer to floats."""
    return _pointer(types.float32, address)


def _pointer(target, address):
    def cast(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.CPointer(target)(address), cast


def _run(call):
    """Run a program. `call` holds the addresses of its words, its weights and the values, and the number of rows.

    One argument, because ctypes takes more time for each than a small layer does.
    """
    call = carray(call, (N4,))
    words, rows = words_at(call[N0]), call[N3]
    head = carray(words, (N3,))
    w, m = carray(floats_at(call[N1]), (head[N1],)), carray(floats_at(call[N2]), (head[N2] * rows,))
    execute(carray(words, (head[N0],)), w, m, rows)


def _compile():
    """Kept beside this file, or where NUMBA_CACHE_DIR says, for as long as neither it nor numba nor the CPU changes."""
    signature = types.void(types.CPointer(types.uint64))
    options = {"fastmath": FAST, "error_model": "numpy"}
    try:
        return cfunc(signature, cache=True, **options)(_run)
    except (RuntimeError, OSError) as error:  # nowhere to write
        warnings.warn(
            f"compiled kernels cannot be kept, so each process compiles them anew: {error}; set NUMBA_CACHE_DIR",
            RuntimeWarning,
            2,
        )
        return cfunc(signature, **options)(_run)


run = _compile()
