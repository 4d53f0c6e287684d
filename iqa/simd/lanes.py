"""Vectors of numbers as a Numba type, for loops that LLVM does not vectorise by itself.

It gives up where it would have to check many pointers for overlap, and a filter that keeps several
rows in registers has many. A vector is as large as the registers of the level, see `levels`.
"""

from __future__ import annotations

import math
import operator
from typing import Any

from llvmlite import ir
from numba import types
from numba.core.cgutils import get_or_insert_function
from numba.core.typing import signature
from numba.core.typing.templates import AbstractTemplate, infer_global
from numba.extending import intrinsic, lower_builtin, models, register_model

from iqa.simd.levels import LEVEL

# Its declared type says that callers give the typing context, too.
compiled: Any = intrinsic
literally: Any = intrinsic(prefer_literal=True)

VECTOR_BYTES = LEVEL.vector_bytes
INDEX = ir.IntType(32)


class Lanes(types.Type):
    """As many numbers of one type as a vector holds.

    Has `+`, `-`, `*`, `/`, `min`, `max`, `abs`, `math.sqrt` and `math.floor`, of each number.
    """

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        self.count = 8 * VECTOR_BYTES // dtype.bitwidth
        super().__init__(name=f"Lanes({dtype})")


@register_model(Lanes)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, lanes: Lanes) -> None:
        element = manager.lookup(lanes.dtype).get_value_type()
        super().__init__(manager, lanes, ir.VectorType(element, lanes.count))


def _place(context: Any, builder: Any, array: Any, value: Any, index: Any, count: int) -> Any:
    """Pointer to `count` elements of a contiguous array."""
    first = builder.gep(context.make_array(array)(context, builder, value).data, [index])
    return builder.bitcast(first, ir.VectorType(first.type.pointee, count).as_pointer())


def _converted(builder: Any, vector: Any, kind: Any) -> Any:
    """The vector, its numbers rounded or widened to those of another type of vector."""
    if vector.type.element == kind.element:
        return vector
    narrower = kind.element == ir.FloatType()
    return (builder.fptrunc if narrower else builder.fpext)(vector, kind)


def _read(context: Any, builder: Any, array: Any, value: Any, index: Any, like: Any) -> Any:
    """A vector of the type `like` of consecutive elements of a float array."""
    place = _place(context, builder, array, value, index, like.count)
    vector = builder.load(place, align=array.dtype.bitwidth // 8)
    return _converted(builder, vector, context.get_value_type(like))


def _write(context: Any, builder: Any, array: Any, value: Any, index: Any, vector: Any) -> None:
    """Write a vector to consecutive elements of a float array, rounded to its type."""
    place = _place(context, builder, array, value, index, vector.type.count)
    vector = _converted(builder, vector, place.type.pointee)
    builder.store(vector, place, align=array.dtype.bitwidth // 8)


def _everywhere(builder: Any, value: Any, kind: Any) -> Any:
    """A vector of equal numbers."""
    blank = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(blank, value, INDEX(0))
    return builder.shuffle_vector(first, blank, ir.Constant(ir.VectorType(INDEX, kind.count), None))


@compiled
def load(typing: Any, array: Any, index: Any, like: Any) -> Any:
    """Consecutive elements of a float array from `index` on, as numbers of the type of `like`."""

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        return _read(context, builder, array, *arguments[:2], like)

    return like(array, types.intp, like), generate


def _every_word(
    context: Any, builder: Any, array: Any, value: Any, index: Any, count: int, step: int
) -> list[Any]:
    """For each k < `step` a vector of every `step`-th word of a uint8 array, from word k on.

    Word j of vector k has the bytes `4 (step * j + k)` to `4 (step * j + k) + 3` from `index` on.
    """
    words, loads = ir.VectorType(INDEX, count), []
    for k in range(step):
        first = builder.add(index, ir.Constant(index.type, 4 * count * k))
        place = _place(context, builder, array, value, first, 4 * count)
        loads.append(builder.bitcast(builder.load(place, align=1), words))

    def choose(low: Any, high: Any, indices: list[int]) -> Any:
        return builder.shuffle_vector(low, high, ir.Constant(words, indices))

    # No two of the words of a vector lie at the same place of two loads, so that one vector takes
    # them all, to be put in order.
    every = []
    for k in range(step):
        taken = [divmod(k + step * j, count) for j in range(count)]
        mixed = loads[0]
        for which in range(1, step):
            indices = list(range(count))
            for load, place in taken:
                if load == which:
                    indices[place] += count
            mixed = choose(mixed, loads[which], indices)
        every.append(choose(mixed, mixed, [place for _, place in taken]))
    return every


def _byte_of(builder: Any, every: list[Any], position: int, kind: Any) -> Any:
    """The bytes at a position of each group of four times as many bytes as there are vectors."""
    word, byte = divmod(position, 4)
    words = every[word].type
    shift, mask = (ir.Constant(words, [number] * words.count) for number in (8 * byte, 255))
    return builder.sitofp(builder.and_(builder.lshr(every[word], shift), mask), kind)


@literally
def load_phases(typing: Any, array: Any, index: Any, step: Any, like: Any) -> Any:
    """Four vectors of bytes of a uint8 array, each one or each third (`step`, a literal).

    Number j of vector p is byte `step * (4 j + p)` from `index` on. All of the bytes are read, so
    `step - 1` more than are taken.
    """
    four = types.UniTuple(like, 4)

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        value, index, _, wanted = arguments
        step_ = step.literal_value
        every = _every_word(context, builder, array, value, index, like.count, step_)
        taken = [_byte_of(builder, every, step_ * phase, wanted.type) for phase in range(4)]
        return context.make_tuple(builder, four, taken)

    return four(array, types.intp, step, like), generate


@compiled
def load_colours(typing: Any, array: Any, index: Any, like: Any) -> Any:
    """Twelve vectors of the bytes of pixels of three channels, from `index` on.

    Number j of vector `3 p + c` is channel c of pixel `4 j + p`.
    """
    twelve = types.UniTuple(like, 12)

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        value, index, wanted = arguments
        every = _every_word(context, builder, array, value, index, like.count, 3)
        taken = [_byte_of(builder, every, position, wanted.type) for position in range(12)]
        return context.make_tuple(builder, twelve, taken)

    return twelve(array, types.intp, like), generate


@compiled
def store_phases(typing: Any, array: Any, index: Any, vectors: Any) -> Any:
    """Write four vectors of whole numbers from 0 to 255 to a uint8 array; see `load_phases`."""

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        count = vectors.dtype.count
        words = ir.VectorType(INDEX, count)
        total = ir.Constant(words, None)
        for phase in range(4):
            number = builder.fptosi(builder.extract_value(arguments[2], phase), words)
            shift = ir.Constant(words, [8 * phase] * count)
            total = builder.or_(total, builder.shl(number, shift))
        place = _place(context, builder, array, *arguments[:2], 4 * count)
        builder.store(builder.bitcast(total, place.type.pointee), place, align=1)
        return context.get_dummy_value()

    return types.void(array, types.intp, vectors), generate


@literally
def load_rows(typing: Any, array: Any, index: Any, step: Any, count: Any, like: Any) -> Any:
    """A tuple of `count` (a literal) vectors that begin `step` elements apart, see `load`."""
    vectors = types.UniTuple(like, count.literal_value)

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        value, index, step, *_ = arguments
        taken = []
        for _ in range(vectors.count):
            taken.append(_read(context, builder, array, value, index, like))
            index = builder.add(index, step)
        return context.make_tuple(builder, vectors, taken)

    return vectors(array, types.intp, types.intp, count, like), generate


@compiled
def squared(typing: Any, vectors: Any) -> Any:
    """The squares of a tuple of vectors."""

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        each = [builder.extract_value(arguments[0], k) for k in range(vectors.count)]
        return context.make_tuple(builder, vectors, [builder.fmul(one, one) for one in each])

    return vectors(vectors), generate


@compiled
def alike(typing: Any, number: Any, like: Any) -> Any:
    """A vector of a float64 number, rounded to the type of `like`."""

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        vector, value = arguments[1].type, arguments[0]
        if vector.element != value.type:
            value = builder.fptrunc(value, vector.element)
        return _everywhere(builder, value, vector)

    return like(types.float64, like), generate


@compiled
def load_at(typing: Any, array: Any, places: Any, index: Any, like: Any) -> Any:
    """A tuple of the vectors that begin `index` after each of a tuple of places, see `load`."""
    vectors = types.UniTuple(like, places.count)

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        value, places, index, _ = arguments
        taken = []
        for k in range(vectors.count):
            first = builder.add(builder.extract_value(places, k), index)
            taken.append(_read(context, builder, array, value, first, like))
        return context.make_tuple(builder, vectors, taken)

    return vectors(array, places, types.intp, like), generate


@compiled
def store_rows(typing: Any, array: Any, index: Any, step: Any, vectors: Any) -> Any:
    """Write a tuple of vectors to places `step` elements apart, see `store`."""

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        value, index, step, taken = arguments
        for k in range(vectors.count):
            vector = builder.extract_value(taken, k)
            _write(context, builder, array, value, index, vector)
            index = builder.add(index, step)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, vectors), generate


@compiled
def minus(typing: Any, vectors: Any, vector: Any) -> Any:
    """A tuple of vectors, each less the same one."""

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        each = [builder.extract_value(arguments[0], k) for k in range(vectors.count)]
        return context.make_tuple(
            builder, vectors, [builder.fsub(one, arguments[1]) for one in each]
        )

    return vectors(vectors, vector), generate


@compiled
def store(typing: Any, array: Any, index: Any, lanes: Any) -> Any:
    """Write a vector to consecutive elements of a float array, rounded to its type."""

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        _write(context, builder, array, *arguments)
        return context.get_dummy_value()

    return types.void(array, types.intp, lanes), generate


@compiled
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


@compiled
def spread(typing: Any, number: Any) -> Any:
    """A vector of equal numbers."""
    lanes = Lanes(number)

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        return _everywhere(builder, arguments[0], context.get_value_type(lanes))

    return lanes(number), generate


@compiled
def multiply_add(typing: Any, a: Any, b: Any, c: Any) -> Any:
    """`a * b + c`, fused where the processor can, in the order that is written.

    Where LLVM is left to find these by itself, it also reorders them, and to no advantage.
    """

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        vector = arguments[0].type
        name = f"llvm.fmuladd.v{a.count}f{a.dtype.bitwidth}"
        function = ir.FunctionType(vector, [vector] * 3)
        return builder.call(get_or_insert_function(builder.module, function, name), arguments)

    return a(a, b, c), generate


@compiled
def count_of(typing: Any, lanes: Any) -> Any:
    """How many numbers a vector holds, as a constant, unlike the `itemsize` of an array."""

    def generate(context: Any, *_: Any) -> Any:
        return context.get_constant(types.intp, lanes.count)

    return types.intp(lanes), generate


@compiled
def sum_of(typing: Any, lanes: Any) -> Any:
    """Sum of a vector's numbers."""

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        total, count = arguments[0], lanes.count
        while count > 1:
            count //= 2
            halves = [
                ir.Constant(ir.VectorType(INDEX, count), list(range(first, first + count)))
                for first in (0, count)
            ]
            total = builder.fadd(*(builder.shuffle_vector(total, total, half) for half in halves))
        return builder.extract_element(total, INDEX(0))

    return lanes.dtype(lanes), generate


def _every_second(lanes: Lanes, first: int) -> Any:
    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        mask = ir.Constant(
            ir.VectorType(INDEX, lanes.count), list(range(first, 2 * lanes.count, 2))
        )
        return builder.shuffle_vector(*arguments, mask)

    return lanes(lanes, lanes), generate


@compiled
def evens(typing: Any, low: Any, high: Any) -> Any:
    """Numbers 0, 2, 4, ... of two vectors one after the other."""
    return _every_second(low, 0)


@compiled
def odds(typing: Any, low: Any, high: Any) -> Any:
    """Numbers 1, 3, 5, ... of two vectors one after the other."""
    return _every_second(low, 1)


def _word_of(builder: Any, found: Any) -> Any:
    """A word with a bit for each of a vector of bits, the lowest first."""
    bits = builder.bitcast(found, ir.IntType(found.type.count))
    return builder.zext(bits, ir.IntType(64))


@compiled
def bits_below(typing: Any, one: Any, other: Any) -> Any:
    """A word with a bit, the lowest first, for each number of `one` below that of `other`."""

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        return _word_of(builder, builder.fcmp_ordered("<", *arguments))

    return types.uint64(one, other), generate


def _bits_of(vectors: Any, found: Any) -> Any:
    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        total = ir.Constant(ir.IntType(64), 0)
        for k in range(vectors.count):
            word = _word_of(builder, found(builder, builder.extract_value(arguments[0], k)))
            shift = ir.Constant(total.type, vectors.dtype.count * k)
            total = builder.or_(total, builder.shl(word, shift))
        return total

    return types.uint64(vectors), generate


@compiled
def negative_bits(typing: Any, vectors: Any) -> Any:
    """A word with a bit for each number of a tuple of vectors, the lowest first: is it below 0.

    The bit of -0 is set, too.
    """

    def found(builder: Any, vector: Any) -> Any:
        words = ir.VectorType(ir.IntType(vectors.dtype.dtype.bitwidth), vector.type.count)
        return builder.icmp_signed("<", builder.bitcast(vector, words), ir.Constant(words, None))

    return _bits_of(vectors, found)


@compiled
def nonzero_bits(typing: Any, vectors: Any) -> Any:
    """The same for each that is not 0."""

    def found(builder: Any, vector: Any) -> Any:
        return builder.fcmp_ordered("!=", vector, ir.Constant(vector.type, None))

    return _bits_of(vectors, found)


@compiled
def zero_below(typing: Any, lanes: Any, limit: Any) -> Any:
    """The numbers, 0 in place of those whose magnitude is below that of `limit`."""

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        small = builder.fcmp_ordered("<", _intrinsic(builder, "fabs", arguments[0]), arguments[1])
        return builder.select(small, ir.Constant(arguments[0].type, None), arguments[0])

    return lanes(lanes, limit), generate


@compiled
def between(typing: Any, first: Any, last: Any, lanes: Any, other: Any) -> Any:
    """The numbers at places `first` to `last` (exclusive), of `other` in place of the rest."""

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        places = ir.VectorType(arguments[0].type, lanes.count)
        place = ir.Constant(places, list(range(lanes.count)))
        first, last = (_everywhere(builder, bound, places) for bound in arguments[:2])
        inside = builder.and_(
            builder.icmp_signed(">=", place, first), builder.icmp_signed("<", place, last)
        )
        return builder.select(inside, *arguments[2:])

    return lanes(types.intp, types.intp, lanes, lanes), generate


@compiled
def ones(typing: Any, word: Any) -> Any:
    """How many bits of an unsigned integer are set."""

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        return context.cast(builder, builder.ctpop(arguments[0]), word, types.int64)

    return types.int64(word), generate


@compiled
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


def _define(operation: Any, operands: int, generate: Any) -> None:
    @infer_global(operation)
    class _Template(AbstractTemplate):
        def generic(self, arguments: Any, _: Any) -> Any:
            lanes = arguments[0]
            if isinstance(lanes, Lanes) and arguments == (lanes,) * operands:
                return signature(lanes, *arguments)
            return None

    @lower_builtin(operation, *[Lanes] * operands)
    def _lower(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        return generate(builder, *arguments)


def _intrinsic(builder: Any, name: str, vector: Any) -> Any:
    suffix = f"v{vector.type.count}f{64 if vector.type.element == ir.DoubleType() else 32}"
    kind = ir.FunctionType(vector.type, [vector.type])
    function = builder.module.declare_intrinsic(f"llvm.{name}.{suffix}", fnty=kind)
    return builder.call(function, [vector])


def _lesser(builder: Any, one: Any, other: Any) -> Any:
    return builder.select(builder.fcmp_ordered("<", one, other), one, other)


def _greater(builder: Any, one: Any, other: Any) -> Any:
    return builder.select(builder.fcmp_ordered(">", one, other), one, other)


_define(operator.add, 2, lambda builder, one, other: builder.fadd(one, other))
_define(operator.sub, 2, lambda builder, one, other: builder.fsub(one, other))
_define(operator.mul, 2, lambda builder, one, other: builder.fmul(one, other))
_define(operator.truediv, 2, lambda builder, one, other: builder.fdiv(one, other))
_define(min, 2, _lesser)
_define(max, 2, _greater)
_define(abs, 1, lambda builder, vector: _intrinsic(builder, "fabs", vector))
_define(math.sqrt, 1, lambda builder, vector: _intrinsic(builder, "sqrt", vector))
_define(math.floor, 1, lambda builder, vector: _intrinsic(builder, "floor", vector))
