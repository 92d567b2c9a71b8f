"""A trace of a few steps: the longest kernels, and the longest gaps in which the device waits."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from torch.profiler import ProfilerActivity, profile

from benchmarks.gpu_cases import Gpu, started
from benchmarks.gpu_workers import seconds

LONGEST: Final = 3
STEPS: Final = 10


@dataclass(frozen=True)
class Span:
    """What the device did, from when to when, in microseconds."""

    name: str
    start: float
    end: float


def trace(gpu: Gpu, *, model: str) -> Iterator[dict[str, Any]]:
    """An epoch of ten steps in bf16, traced; on a CPU the spans are PyTorch's operations."""
    run, _ = started(gpu.run(model, "bf16", images=STEPS * 128))
    run.train()
    alone = seconds(run.train)
    on_gpu = gpu.bench.device == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with profile(activities=activities) as traced:
        seconds(run.train)
    events = [
        each for each in traced.events() or () if ("CUDA" in str(each.device_type)) == on_gpu and not each.cpu_parent
    ]
    spans = [Span(each.name, each.time_range.start, each.time_range.end) for each in events]
    yield {"name": f"trace_{model}", "epoch_ms_without_trace": round(1e3 * alone, 2), **longest(spans)}


def longest(spans: Sequence[Span]) -> dict[str, Any]:
    """Returns the kinds of span that take longest in all, and the longest gaps with what is before and after them."""
    totals: dict[str, list[float]] = defaultdict(list)
    gaps, reached = [], None
    for span in sorted(spans, key=lambda each: each.start):
        totals[span.name].append(span.end - span.start)
        if reached and span.start > reached.end:
            gaps.append((span.start - reached.end, reached.name, span.name))
        reached = span if reached is None or span.end > reached.end else reached
    whole = max(each.end for each in spans) - min(each.start for each in spans)
    kinds = sorted(totals.items(), key=lambda item: -sum(item[1]))
    return {
        "traced_ms": round(whole / 1e3, 3),
        "idle_share": round(sum(gap for gap, *_ in gaps) / whole, 3),
        "kernels": [
            {"name": name[:120], "calls": len(each), "ms": round(sum(each) / 1e3, 3)} for name, each in kinds[:LONGEST]
        ],
        "gaps": [
            {"ms": round(gap / 1e3, 3), "after": before[:120], "before": after[:120]}
            for gap, before, after in sorted(gaps, reverse=True)[:LONGEST]
        ],
    }
