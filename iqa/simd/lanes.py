"""Vectors of numbers as a Numba type, for loops that LLVM does not vectorise by itself.

It gives up where it would have to check many pointers for overlap, and a filter that keeps several
rows in registers has many. A vector is as large as the registers of the level, see `levels`.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from functools import partial, reduce
from itertools import product
from typing import Any

from llvmlite import ir
from numba import extending, types
from numba.core.cgutils import get_or_insert_function
from numba.core.typing import signature
from numba.core.typing.templates import AbstractTemplate, infer, infer_global
from numba.cpython.unsafe.tuple import tuple_setitem
from numba.extending import lower_builtin, models, register_model

from iqa.simd.levels import LEVEL

# Any: for mypy every call would lack the argument `typing`, which Numba adds.
intrinsic: Any = extending.intrinsic
literal_intrinsic: Any = extending.intrinsic(prefer_literal=True)
with_item: Any = tuple_setitem  # a tuple, a place in it and what it has there from now on

VECTOR_BYTES = LEVEL.vector_bytes
WORD = 4  # bytes
LANES = VECTOR_BYTES // WORD  # numbers of 32 bits in a vector
PHASES = 4  # vectors that pixels of a row are dealt out to
RUN = PHASES * LANES
INDEX = ir.IntType(32)


class Lanes(types.Type):
    """Some vectors of numbers of one type, each as many as a register holds.

    `x[2]` and `x[2:6]` are some of the vectors. `+`, `-`, `*`, `/`, `min`, `max`, `abs`,
    `math.sqrt` and `math.floor` are of each number; of two of them either may be a single vector
    or a number, which then goes with every vector.
    """

    def __init__(self, dtype: Any, vectors: int = 1) -> None:
        self.dtype = dtype
        self.vectors = vectors
        self.count = 8 * VECTOR_BYTES // dtype.bitwidth
        super().__init__(name=f"Lanes({dtype}, {vectors})")


@register_model(Lanes)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, lanes: Lanes) -> None:
        element = manager.lookup(lanes.dtype).get_value_type()
        vector = ir.VectorType(element, lanes.count)
        super().__init__(manager, lanes, ir.ArrayType(vector, lanes.vectors))


def _split(builder: Any, value: Any) -> list[Any]:
    """The vectors of a value, or the parts of a tuple."""
    return [builder.extract_value(value, k) for k in range(len(value.type))]


def _join(builder: Any, vectors: Sequence[Any]) -> Any:
    """A value of vectors."""
    value = ir.Constant(ir.ArrayType(vectors[0].type, len(vectors)), ir.Undefined)
    for k, vector in enumerate(vectors):
        value = builder.insert_value(value, vector, k)
    return value


def _everywhere(builder: Any, value: Any, count: int) -> Any:
    """A vector of equal numbers."""
    blank = ir.Constant(ir.VectorType(value.type, count), ir.Undefined)
    first = builder.insert_element(blank, value, INDEX(0))
    return _shuffled(builder, first, blank, [0] * count)


def _shuffled(builder: Any, low: Any, high: Any, places: Sequence[int]) -> Any:
    """The elements at some places of two vectors one after the other."""
    return builder.shuffle_vector(
        low, high, ir.Constant(ir.VectorType(INDEX, len(places)), list(places))
    )


def _equal(builder: Any, vector: Any, number: float) -> Any:
    """A constant vector of equal numbers, of the type of another."""
    return ir.Constant(vector.type, [number] * vector.type.count)


def _place(context: Any, builder: Any, array: Any, value: Any, index: Any, count: int) -> Any:
    """Pointer to `count` elements of a contiguous array."""
    first = builder.gep(context.make_array(array)(context, builder, value).data, [index])
    return builder.bitcast(first, ir.VectorType(first.type.pointee, count).as_pointer())


def _converted(builder: Any, vector: Any, element: Any) -> Any:
    """The vector, its numbers rounded or widened to another type."""
    if vector.type.element == element:
        return vector
    convert = builder.fptrunc if element == ir.FloatType() else builder.fpext
    return convert(vector, ir.VectorType(element, vector.type.count))


def _loads(array: Any, lanes: Lanes, places: Callable[..., list[Any]], *arguments: Any) -> Any:
    """An intrinsic that loads vectors from a float array at places that it computes."""

    def generate(context: Any, builder: Any, _: Any, values: Any) -> Any:
        element = context.get_value_type(lanes.dtype)
        vectors = []
        for index in places(builder, *values[1:]):
            place = _place(context, builder, array, values[0], index, lanes.count)
            vector = builder.load(place, align=array.dtype.bitwidth // 8)
            vectors.append(_converted(builder, vector, element))
        return _join(builder, vectors)

    return lanes(array, *arguments), generate


def _steps(builder: Any, index: Any, step: Any, count: int) -> list[Any]:
    """Places `step` apart, from `index` on."""
    places = [index]
    while len(places) < count:
        places.append(builder.add(places[-1], step))
    return places


@intrinsic
def load(typing: Any, array: Any, index: Any, dtype: Any) -> Any:
    """Consecutive elements of a float array from `index` on, as numbers of a type.

    Here and below `index` counts in the array as it lies in memory, whatever its dimensions are,
    and is not checked.
    """
    return _loads(array, Lanes(dtype.dtype), lambda _, index, __: [index], types.intp, dtype)


@literal_intrinsic
def load_rows(typing: Any, array: Any, index: Any, step: Any, count: Any, dtype: Any) -> Any:
    """`count` (a literal) vectors that begin `step` elements apart, see `load`."""
    vectors = count.literal_value

    def places(builder: Any, index: Any, step: Any, *_: Any) -> list[Any]:
        return _steps(builder, index, step, vectors)

    return _loads(array, Lanes(dtype.dtype, vectors), places, types.intp, types.intp, count, dtype)


@intrinsic
def load_at(typing: Any, array: Any, starts: Any, index: Any, dtype: Any) -> Any:
    """The vectors that begin `index` after each of a tuple of places, see `load`."""

    def places(builder: Any, starts: Any, index: Any, _: Any) -> list[Any]:
        return [builder.add(start, index) for start in _split(builder, starts)]

    return _loads(array, Lanes(dtype.dtype, starts.count), places, starts, types.intp, dtype)


def _store(
    context: Any, builder: Any, array: Any, value: Any, index: Any, vectors: Any, step: Any = None
) -> None:
    for vector in _split(builder, vectors):
        place = _place(context, builder, array, value, index, vector.type.count)
        vector = _converted(builder, vector, place.type.pointee.element)
        builder.store(vector, place, align=array.dtype.bitwidth // 8)
        index = builder.add(index, step) if step else index


@intrinsic
def store_rows(typing: Any, array: Any, index: Any, step: Any, lanes: Any) -> Any:
    """Write vectors to a float array, rounded to its type, to places `step` elements apart."""

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        value, index, step, vectors = arguments
        _store(context, builder, array, value, index, vectors, step)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, lanes), generate


@intrinsic
def store(typing: Any, array: Any, index: Any, lanes: Any) -> Any:
    """Write one vector, see `store_rows`."""
    if lanes.vectors != 1:
        return None

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        _store(context, builder, array, *arguments)
        return context.get_dummy_value()

    return types.void(array, types.intp, lanes), generate


def _every_word(
    context: Any, builder: Any, array: Any, value: Any, index: Any, step: int
) -> list[Any]:
    """For each k < `step` a vector of every `step`-th word of a uint8 array, from word k on.

    Word j of vector k has the bytes `4 (step * j + k)` to `4 (step * j + k) + 3` from `index` on.
    """
    words, loads = ir.VectorType(INDEX, LANES), []
    for k in range(step):
        first = builder.add(index, ir.Constant(index.type, VECTOR_BYTES * k))
        place = _place(context, builder, array, value, first, VECTOR_BYTES)
        loads.append(builder.bitcast(builder.load(place, align=1), words))

    # No two of the words of a vector lie at the same place of two loads, so that one vector takes
    # them all, to be put in order.
    every = []
    for k in range(step):
        taken = [divmod(k + step * j, LANES) for j in range(LANES)]
        mixed = loads[0]
        for which in range(1, step):
            indices = list(range(LANES))
            for load, place in taken:
                if load == which:
                    indices[place] += LANES
            mixed = _shuffled(builder, mixed, loads[which], indices)
        every.append(_shuffled(builder, mixed, mixed, [place for _, place in taken]))
    return every


@literal_intrinsic
def load_pixels(typing: Any, array: Any, index: Any, channels: Any) -> Any:
    """A `RUN` of pixels from a uint8 array, in float32: for each channel a vector of each phase.

    Number j of vector `4 * c + p` is channel c of pixel `4 * j + p`. `channels` is a literal, 1 or
    3. `index` may be that of another channel of the first pixel: the load then ends as many bytes
    beyond the last one.
    """
    step = channels.literal_value
    lanes = Lanes(types.float32, PHASES * step)

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        every = _every_word(context, builder, array, *arguments[:2], step)
        vectors = []
        for channel, pixel in product(range(step), range(PHASES)):
            word, byte = divmod(step * pixel + channel, WORD)
            shifted = builder.lshr(every[word], _equal(builder, every[word], 8 * byte))
            masked = builder.and_(shifted, _equal(builder, shifted, 255))
            vectors.append(builder.sitofp(masked, ir.VectorType(ir.FloatType(), LANES)))
        return _join(builder, vectors)

    return lanes(array, types.intp, channels), generate


@intrinsic
def store_phases(typing: Any, array: Any, index: Any, lanes: Any) -> Any:
    """Write four vectors of whole numbers from 0 to 255 to a uint8 array; see `load_pixels`."""

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        value, index, vectors = arguments
        words = ir.VectorType(INDEX, lanes.count)
        total = ir.Constant(words, None)
        for phase, vector in enumerate(_split(builder, vectors)):
            number = builder.fptosi(vector, words)
            total = builder.or_(total, builder.shl(number, _equal(builder, number, 8 * phase)))
        place = _place(context, builder, array, value, index, VECTOR_BYTES)
        builder.store(builder.bitcast(total, place.type.pointee), place, align=1)
        return context.get_dummy_value()

    return types.void(array, types.intp, lanes), generate


@intrinsic
def prefetch(typing: Any, array: Any, index: Any) -> Any:
    """Have the cache fetch what lies at `index`, if anything does."""

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        place = context.make_array(array)(context, builder, arguments[0]).data
        place = builder.bitcast(builder.gep(place, [arguments[1]]), ir.IntType(8).as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [place.type, INDEX, INDEX, INDEX])
        function = builder.module.declare_intrinsic("llvm.prefetch.p0", fnty=kind)
        builder.call(function, [place, INDEX(0), INDEX(3), INDEX(1)])
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


@literal_intrinsic
def spread(typing: Any, number: Any, vectors: Any) -> Any:
    """So many (a literal) vectors of equal numbers."""
    lanes = Lanes(number, vectors.literal_value)

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        return _join(builder, [_everywhere(builder, arguments[0], lanes.count)] * lanes.vectors)

    return lanes(number, vectors), generate


@intrinsic
def joined(typing: Any, parts: Any) -> Any:
    """The vectors of a tuple of them, one after the other."""
    lanes = Lanes(parts[0].dtype, sum(part.vectors for part in parts))

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        each = _split(builder, arguments[0])
        return _join(builder, [vector for part in each for vector in _split(builder, part)])

    return lanes(parts), generate


@intrinsic
def count_of(typing: Any, dtype: Any) -> Any:
    """How many numbers a vector holds, as a constant, unlike the `itemsize` of an array."""

    def generate(context: Any, *_: Any) -> Any:
        return context.get_constant(types.intp, Lanes(dtype.dtype).count)

    return types.intp(dtype), generate


def _reduced(lanes: Lanes, operation: Callable[..., Any]) -> Any:
    """An intrinsic that makes one vector of several."""

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        return _join(builder, [reduce(partial(operation, builder), _split(builder, arguments[0]))])

    return Lanes(lanes.dtype)(lanes), generate


@intrinsic
def vector_sum(typing: Any, lanes: Any) -> Any:
    """The sum of the vectors, which is one."""
    return _reduced(lanes, ir.IRBuilder.fadd)


@intrinsic
def vector_min(typing: Any, lanes: Any) -> Any:
    """The least of the vectors, number by number."""
    return _reduced(lanes, partial(_either, "<"))


@intrinsic
def vector_max(typing: Any, lanes: Any) -> Any:
    """The greatest of the vectors, number by number."""
    return _reduced(lanes, partial(_either, ">"))


@intrinsic
def sum_of(typing: Any, lanes: Any) -> Any:
    """Sum of all numbers."""

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        total, count = reduce(builder.fadd, _split(builder, arguments[0])), lanes.count
        while count > 1:
            count //= 2
            low = _shuffled(builder, total, total, range(count))
            total = builder.fadd(low, _shuffled(builder, total, total, range(count, 2 * count)))
        return builder.extract_element(total, INDEX(0))

    return lanes.dtype(lanes), generate


def _bits(lanes: Lanes, found: Callable[[Any, Any], Any]) -> Any:
    """An intrinsic that makes a word with a bit for each number, the first one's lowest."""

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        total = ir.Constant(ir.IntType(64), 0)
        for k, vector in enumerate(_split(builder, arguments[0])):
            bits = builder.bitcast(found(builder, vector), ir.IntType(lanes.count))
            word = builder.zext(bits, total.type)
            total = builder.or_(total, builder.shl(word, total.type(lanes.count * k)))
        return total

    return types.uint64(lanes), generate


@intrinsic
def negative_bits(typing: Any, lanes: Any) -> Any:
    """A word with a bit for each number, the first one's lowest: is it below 0, or is it -0."""

    def found(builder: Any, vector: Any) -> Any:
        words = ir.VectorType(ir.IntType(lanes.dtype.bitwidth), lanes.count)
        return builder.icmp_signed("<", builder.bitcast(vector, words), ir.Constant(words, None))

    return _bits(lanes, found)


@intrinsic
def nonzero_bits(typing: Any, lanes: Any) -> Any:
    """The same for each that is not 0."""

    def found(builder: Any, vector: Any) -> Any:
        return builder.fcmp_ordered("!=", vector, ir.Constant(vector.type, None))

    return _bits(lanes, found)


@intrinsic
def inside(typing: Any, columns: Any, lanes: Any, outside: Any) -> Any:
    """The numbers of the first so many columns, the number `outside` in place of the rest.

    Of n vectors, number j of vector p is column `n * j + p`.
    """

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        columns, value, rest = arguments
        rest = context.cast(builder, rest, outside, lanes.dtype)
        bound, rest = (_everywhere(builder, each, lanes.count) for each in (columns, rest))
        found = []
        for first, vector in enumerate(_split(builder, value)):
            own = list(range(first, lanes.vectors * lanes.count, lanes.vectors))
            own = builder.icmp_signed("<", ir.Constant(bound.type, own), bound)
            found.append(builder.select(own, vector, rest))
        return _join(builder, found)

    return lanes(types.intp, lanes, outside), generate


@intrinsic
def ones(typing: Any, word: Any) -> Any:
    """How many bits of an unsigned integer are set."""

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        return context.cast(builder, builder.ctpop(arguments[0]), word, types.int64)

    return types.int64(word), generate


@intrinsic
def align_stack(typing: Any) -> Any:
    """Align the stack of the kernel, so that no vector kept there lies in two cache lines or pages.

    LLVM does not by itself: where a kernel runs out of registers, its time would depend on where
    the stack happens to begin.
    """

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        with builder.goto_entry_block():
            place = builder.alloca(ir.VectorType(ir.IntType(8), VECTOR_BYTES))
            place.align = VECTOR_BYTES
        use = ir.FunctionType(ir.VoidType(), [place.type])
        builder.asm(use, "", "r,~{memory}", [place], side_effect=True)  # it must stay
        return context.get_dummy_value()

    return types.void(), generate


@infer
class _Some(AbstractTemplate):
    """The type of `x[2]` and `x[2:6]`."""

    key = "static_getitem"

    def generic(self, arguments: Any, _: Any) -> Any:
        lanes, index = arguments
        if not isinstance(lanes, Lanes):
            return None
        return signature(Lanes(lanes.dtype, len(_chosen(range(lanes.vectors), index))), *arguments)


def _chosen(vectors: Sequence[Any], index: int | slice) -> Sequence[Any]:
    return vectors[index] if isinstance(index, slice) else [vectors[index]]


@lower_builtin("static_getitem", Lanes, types.IntegerLiteral)
@lower_builtin("static_getitem", Lanes, types.SliceLiteral)
def _some(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
    lanes, index = arguments
    return _join(builder, _chosen(_split(builder, lanes), index))


def _result(operands: Sequence[Any]) -> Lanes | None:
    """The type of what an operation makes of these; None: it is not one of vectors."""
    lanes = [each for each in operands if isinstance(each, Lanes)]
    most = max((each.vectors for each in lanes), default=0)
    for each in operands:
        if isinstance(each, Lanes):
            fits = each.vectors in (1, most) and each.dtype == lanes[0].dtype
        else:
            fits = isinstance(each, types.Number)
        if not fits:
            return None
    return Lanes(lanes[0].dtype, most) if lanes else None


def _for_each(generate: Any, context: Any, builder: Any, signature: Any, values: Any) -> Any:
    """Generate an operation for each vector of its result."""
    lanes, columns = signature.return_type, []
    for kind, value in zip(signature.args, values, strict=True):
        if isinstance(kind, Lanes):
            vectors = _split(builder, value)
        else:
            number = context.cast(builder, value, kind, lanes.dtype)
            vectors = [_everywhere(builder, number, lanes.count)]
        columns.append(vectors * (lanes.vectors // len(vectors)))
    return _join(builder, [generate(builder, *each) for each in zip(*columns, strict=True)])


@intrinsic
def zero_below(typing: Any, lanes: Any, limit: Any) -> Any:
    """The numbers, 0 in place of those whose magnitude is below a limit."""

    def generate(builder: Any, vector: Any, limit: Any) -> Any:
        small = builder.fcmp_ordered("<", _call("fabs", builder, vector), limit)
        return builder.select(small, ir.Constant(vector.type, None), vector)

    return lanes(lanes, limit), partial(_for_each, generate)


@intrinsic
def dealt(typing: Any, low: Any, high: Any) -> Any:
    """Numbers 0, 2, 4, ... of each vector of `low` and then of `high`; behind these 1, 3, 5, ..."""
    lanes = Lanes(low.dtype, 2 * low.vectors)

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        pairs = list(zip(*(_split(builder, each) for each in arguments), strict=True))
        places = range(2 * lanes.count)
        every = [_shuffled(builder, *pair, places[k::2]) for k in range(2) for pair in pairs]
        return _join(builder, every)

    return lanes(low, high), generate


def _call(name: str, builder: Any, *vectors: Any) -> Any:
    """Call one of LLVM's intrinsics."""
    kind = vectors[0].type
    suffix = f"v{kind.count}f{64 if kind.element == ir.DoubleType() else 32}"
    function = ir.FunctionType(kind, [kind] * len(vectors))
    name = f"llvm.{name}.{suffix}"
    return builder.call(get_or_insert_function(builder.module, function, name), vectors)


def _define(operation: Any, operands: int, generate: Any) -> None:
    @infer_global(operation)
    class _Template(AbstractTemplate):
        def generic(self, arguments: Any, _: Any) -> Any:
            result = _result(arguments) if len(arguments) == operands else None
            return result and signature(result, *arguments)

    for kinds in product((Lanes, types.Number), repeat=operands):
        if Lanes in kinds:
            lower_builtin(operation, *kinds)(partial(_for_each, generate))


def _either(order: str, builder: Any, one: Any, other: Any) -> Any:
    return builder.select(builder.fcmp_ordered(order, one, other), one, other)


_define(operator.add, 2, ir.IRBuilder.fadd)
_define(operator.sub, 2, ir.IRBuilder.fsub)
_define(operator.mul, 2, ir.IRBuilder.fmul)
_define(operator.truediv, 2, ir.IRBuilder.fdiv)
_define(min, 2, partial(_either, "<"))
_define(max, 2, partial(_either, ">"))
_define(abs, 1, partial(_call, "fabs"))
_define(math.sqrt, 1, partial(_call, "sqrt"))
_define(math.floor, 1, partial(_call, "floor"))
