import { useEffect, useMemo, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { AuditLogStats, Severity } from "./api";
import { clock, date, dateTime } from "./time";
import { useTheme } from "./theme";
import { count, SEVERITIES } from "./ui";

/** Stacked from the least severe up, so that what matters stands out against the rest. */
const ORDER = [...SEVERITIES].reverse();

interface Props {
  series: AuditLogStats["series"];
  bucketMs: number;
  /** What the chart spans, where that is more than the buckets do. */
  from?: number | undefined;
  to?: number | undefined;
  /** Somebody drew over a part of it. */
  onRange?: (from: number, to: number) => void;
  /** Moments that are pointed at. */
  marks?: number[];
  height?: number;
  label: string;
}

function shownTime(at: number, span: number): string {
  return span < 2 * 86_400_000 ? clock(at).slice(0, 5) : date(at).slice(5);
}

const STEPS_MS = [1, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10_080, 20_160, 43_200].map((minutes) => minutes * 60_000);

/** Round times of the clock that is on the wall here, not too many of them. */
function steps(min: number, max: number, width: number): number[] {
  const least = (max - min) / Math.max(2, Math.floor(width / 90));
  const step = STEPS_MS.find((step) => step >= least) ?? Math.ceil(least / 43_200_000) * 43_200_000;
  const offset = new Date(min).getTimezoneOffset() * 60_000;
  const found = [];
  for (let at = Math.ceil((min - offset) / step) * step + offset; at <= max; at += step) {
    found.push(at);
  }
  return found;
}

/** Events over time by severity. */
export default function Chart({ series, bucketMs, from, to, onRange, marks = [], height = 200, label }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const tip = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const theme = useTheme();
  const data = useMemo(() => stacked(series, bucketMs, from, to), [series, bucketMs, from, to]);
  const latest = useRef({ data, bucketMs, onRange, marks });
  latest.current = { data, bucketMs, onRange, marks };

  useEffect(() => {
    const element = box.current!;
    const style = getComputedStyle(element);
    const colour = (name: string) => style.getPropertyValue(`--${name}`).trim();
    // Each piece of a stack from the one below up, so that no edge shows what lies under it.
    const values = (self: uPlot, index: number) => Array.from(self.data[index] ?? self.data[0]!.map(() => 0), Number);
    const bars = uPlot.paths.bars!({
      size: [0.86, 48], gap: 1, align: 1,
      disp: { y0: { unit: 1, values: (self, index) => values(self, index + 1) }, y1: { unit: 1, values } },
    });
    const font = `11px ${style.fontFamily}`;
    const made = new uPlot(
      {
        width: Math.max(200, element.clientWidth),
        height,
        padding: [8, 0, 0, 0],
        legend: { show: false },
        cursor: { y: false, points: { show: false }, drag: { x: Boolean(latest.current.onRange), y: false, setScale: false } },
        scales: { x: { time: false, range: (_, min, max) => [min, max + latest.current.bucketMs] }, y: { range: (_, __, max) => [0, Math.max(4, max * 1.08)] } },
        axes: [
          {
            stroke: colour("dim"), font, size: 26, gap: 4, space: 70,
            grid: { show: false }, ticks: { show: false },
            splits: (self, _, min, max) => steps(min, max, self.width),
            values: (self, splits) => splits.map((at) => shownTime(at, (self.scales.x!.max ?? 0) - (self.scales.x!.min ?? 0))),
          },
          {
            stroke: colour("dim"), font, size: 44, gap: 6, space: 34, side: 3,
            grid: { stroke: colour("line"), width: 1 }, ticks: { show: false },
            values: (_, splits) => splits.map((value) => (Number.isInteger(value) ? short(value) : "")),
          },
        ],
        series: [{}, ...[...ORDER].reverse().map((severity) => ({ label: severity, fill: colour(`chart-${severity}`), width: 0, paths: bars, points: { show: false } }))],
        hooks: {
          setSelect: [
            (self) => {
              const { left, width } = self.select;
              if (width > 4) {
                latest.current.onRange?.(Math.round(self.posToVal(left, "x")), Math.round(self.posToVal(left + width, "x")));
              }
              self.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
            },
          ],
          setCursor: [(self) => tip.current && point(self, tip.current, latest.current)],
          draw: [
            (self) => {
              const { ctx } = self;
              ctx.save();
              ctx.fillStyle = colour("accent");
              for (const mark of latest.current.marks) {
                const x = self.valToPos(mark, "x", true);
                ctx.beginPath();
                ctx.arc(x, self.bbox.top + 5 * devicePixelRatio, 3.5 * devicePixelRatio, 0, 2 * Math.PI);
                ctx.fill();
              }
              ctx.restore();
            },
          ],
        },
      },
      latest.current.data,
      element,
    );
    plot.current = made;
    const measured = new ResizeObserver(() => made.setSize({ width: Math.max(200, element.clientWidth), height }));
    measured.observe(element);
    return () => {
      measured.disconnect();
      made.destroy();
    };
  }, [theme, height]);

  useEffect(() => plot.current?.setData(data), [data, marks]);

  const total = series.reduce((sum, { bySeverity }) => sum + Object.values(bySeverity).reduce((all, one) => all + one, 0), 0);
  return (
    <div className="chart" role="img" aria-label={`${label}: ${count(total)} events in ${series.length} intervals`}>
      <div ref={box} />
      <div ref={tip} className="chart-tip" hidden />
    </div>
  );
}

function short(value: number): string {
  return value >= 1e6 ? `${value / 1e6} M` : value >= 10_000 ? `${value / 1000} k` : count(value);
}

function stacked(series: AuditLogStats["series"], bucketMs: number, from: number | undefined, to: number | undefined): uPlot.AlignedData {
  const starts = series.map(({ start }) => start);
  // The axis spans what was asked for, so that quiet times show.
  const first = Math.min(starts[0] ?? from ?? 0, from ?? Infinity);
  const last = Math.max(starts.at(-1) ?? 0, (to ?? -Infinity) - bucketMs);
  const known = new Map(series.map((bucket) => [bucket.start, bucket.bySeverity]));
  const origin = starts[0] ?? first;
  const times: number[] = [];
  for (let at = origin - Math.ceil((origin - first) / bucketMs) * bucketMs; at <= last && times.length < 2000; at += bucketMs) {
    times.push(at);
  }
  const sums = new Map<Severity, number[]>();
  let below = times.map(() => 0);
  for (const severity of ORDER) {
    below = times.map((time, index) => below[index]! + (known.get(time)?.[severity] ?? 0));
    sums.set(severity, below);
  }
  return [times, ...[...ORDER].reverse().map((severity) => sums.get(severity)!)];
}

function point(self: uPlot, tip: HTMLElement, { data, bucketMs }: { data: uPlot.AlignedData; bucketMs: number }): void {
  const { left } = self.cursor;
  const time = left === undefined || left < 0 ? undefined : self.posToVal(left, "x");
  const index = time === undefined ? -1 : data[0].findIndex((start) => start <= time && time < start + bucketMs);
  tip.hidden = index < 0;
  if (index < 0) {
    return;
  }
  const start = data[0][index]!;
  const severities = [...ORDER].reverse();
  const values = severities.map((_, place) => Number(data[place + 1]![index]) - Number(data[place + 2]?.[index] ?? 0));
  tip.replaceChildren();
  const head = document.createElement("b");
  head.textContent = `${dateTime(start)} – ${clock(start + bucketMs).slice(0, 5)}`;
  tip.append(head);
  severities.forEach((severity, place) => {
    const row = document.createElement("span");
    row.className = `severity ${severity}`;
    const dot = document.createElement("i");
    const number = document.createElement("em");
    number.textContent = count(values[place]!);
    row.append(dot, severity, number);
    tip.append(row);
  });
  const over = self.over.offsetWidth;
  const place = self.over.offsetLeft + left!;
  tip.style.left = `${Math.min(Math.max(0, place - tip.offsetWidth / 2), self.over.offsetLeft + over - tip.offsetWidth)}px`;
}
