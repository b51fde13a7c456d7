// Rows without end: only those that are seen are there, and a scroll bar that browsers can still make stands for all.
import { useCallback, useEffect, useLayoutEffect, useRef, useState, type HTMLAttributes, type ReactNode, type RefObject } from "react";

/** The tallest that an element is made; some browsers give up beyond twice as much. */
const MAX_HEIGHT = 8_000_000;
const OVERSCAN = 6;
/** A step of the scroll bar beyond so many screens is a jump to somewhere else. */
const JUMP_SCREENS = 3;
const SETTLE_MS = 150;

export interface RowsHandle {
  /** Brings a row into sight. */
  show(row: number): void;
  /** Rows came in at the top: what is looked at stays where it is, unless that is the top. */
  shift(rows: number): void;
  page(): number;
  isAtTop(): boolean;
}

interface Props {
  count: number;
  rowHeight: number;
  handle: RefObject<RowsHandle | null>;
  /** A row; of those that are gone through by keys one is reached by Tab. */
  row: (index: number, tabIndex: 0 | -1) => ReactNode;
  /** What a row is known by where others come and go above it; its place unless given. */
  rowKey?: (index: number) => string | number;
  /** The row that keys act on. While it is drawn, it is named by the id `row-` and its index. */
  active?: number;
  /** The row that is as tall as what is in it. It is brought into sight when it is another one. */
  open?: number | undefined;
  /** Whether the first control of each row is gone through by keys, and one of them alone is reached by Tab. */
  isRoving?: boolean;
  /** Whether it is no taller than its rows. */
  isFitting?: boolean;
  onTop?: (isAtTop: boolean) => void;
}

const itself = (index: number) => index;
const controlOf = (placed: Element | null | undefined) => placed?.querySelector<HTMLElement>("a, button");

export function Rows({ count, rowHeight, handle, row, rowKey = itself, onTop, active, open, isRoving = false, isFitting = false, className = "", onKeyDown, ...rest }: Props & HTMLAttributes<HTMLDivElement>) {
  const viewport = useRef<HTMLDivElement>(null);
  const space = useRef<HTMLDivElement>(null);
  const [height, setHeight] = useState(600);
  /** Where in all rows the top of the screen is, in pixels; the scroll bar is where it can be. */
  const [top, setTop] = useState(0);
  const at = useRef({ top: 0, scroll: 0, settle: 0 });
  /** How much taller than others the open row is. */
  const [measured, setMeasured] = useState<{ key: string | number; extra: number }>();
  const openKey = open === undefined || open >= count ? undefined : rowKey(open);
  const extra = openKey !== undefined && measured?.key === openKey ? measured.extra : 0;
  /** Which row has the focus, or had it: it stays there, however far it is scrolled away. */
  const [focused, setFocused] = useState<{ row: number; key: string | number }>();
  const goesTo = useRef<number>(undefined);
  const whole = count * rowHeight + extra;
  const made = Math.min(whole, MAX_HEIGHT);
  const offset = (row: number) => row * rowHeight + (open !== undefined && row > open ? extra : 0);
  const rowAt = (y: number) => Math.floor((open === undefined || y < (open + 1) * rowHeight ? y : Math.max(open * rowHeight, y - extra)) / rowHeight);
  const sizes = useRef({ whole, made, height, offset });
  sizes.current = { whole, made, height, offset };

  const place = useCallback((next: number) => {
    const { whole, made, height } = sizes.current;
    const most = Math.max(0, whole - height);
    const clamped = Math.min(Math.max(0, next), most);
    const share = most === 0 ? 0 : clamped / most;
    const scroll = made === whole ? clamped : share * Math.max(0, made - height);
    at.current.top = clamped;
    at.current.scroll = scroll;
    setTop(clamped);
    if (viewport.current && Math.abs(viewport.current.scrollTop - scroll) > 0.5) {
      viewport.current.scrollTop = scroll;
      at.current.scroll = viewport.current.scrollTop;
    }
  }, []);
  const show = useCallback((row: number, extra = 0) => {
    const { height, offset } = sizes.current;
    const [begins, ends] = [offset(row), offset(row) + rowHeight + extra];
    if (begins < at.current.top) {
      place(begins);
    } else if (ends > at.current.top + height) {
      place(Math.min(begins, ends - height));
    }
  }, [place, rowHeight]);

  const onScroll = () => {
    const { whole, made, height } = sizes.current;
    const scroll = viewport.current!.scrollTop;
    const moved = scroll - at.current.scroll;
    if (Math.abs(moved) < 0.5) {
      return;
    }
    at.current.scroll = scroll;
    if (made === whole) {
      at.current.top = scroll;
    } else if (Math.abs(moved) > JUMP_SCREENS * height || scroll <= 0 || scroll >= made - height - 1) {
      at.current.top = (scroll / Math.max(1, made - height)) * (whole - height);
    } else {
      // A small step is so many pixels, as everywhere; the bar is put right once it rests.
      at.current.top = Math.min(Math.max(0, at.current.top + moved), whole - height);
      clearTimeout(at.current.settle);
      at.current.settle = window.setTimeout(() => place(at.current.top), SETTLE_MS);
    }
    setTop(at.current.top);
  };

  useEffect(() => {
    handle.current = {
      show,
      shift: (rows) => at.current.top > 0 && place(at.current.top + rows * rowHeight),
      page: () => Math.max(1, Math.floor(sizes.current.height / rowHeight) - 1),
      isAtTop: () => at.current.top < rowHeight / 2,
    };
  }, [handle, place, show, rowHeight]);

  useLayoutEffect(() => {
    const measured = new ResizeObserver(([entry]) => setHeight(entry!.contentRect.height));
    measured.observe(viewport.current!);
    return () => {
      measured.disconnect();
      clearTimeout(at.current.settle);
    };
  }, []);
  useLayoutEffect(() => {
    space.current!.style.height = `${made}px`;
    if (at.current.top > Math.max(0, whole - height)) {
      place(at.current.top);
    }
    if (isFitting) {
      viewport.current!.style.height = `${made}px`;
      sizes.current.height = viewport.current!.clientHeight;
      setHeight(sizes.current.height);
    }
  }, [made, whole, height, isFitting, place]);
  const isOpen = extra > 0;
  useLayoutEffect(() => {
    if (open !== undefined && openKey !== undefined) {
      // All of it if that is possible, and its head if not.
      show(open, extra);
    }
  }, [openKey, isOpen]);
  useLayoutEffect(() => {
    if (goesTo.current !== undefined) {
      controlOf(space.current!.querySelector(`[data-row="${goesTo.current}"]`))?.focus({ preventScroll: true });
      goesTo.current = undefined;
    }
  });
  const isAtTop = top < rowHeight / 2;
  useEffect(() => onTop?.(isAtTop), [isAtTop, onTop]);

  const first = Math.max(0, rowAt(top) - OVERSCAN);
  const last = Math.min(count, rowAt(top + height) + 1 + OVERSCAN);
  // What has come above the row that is focused has moved it.
  const isSame = (row: number) => row < count && rowKey(row) === focused?.key;
  const found = !focused || isSame(focused.row) ? focused?.row : Array.from({ length: rowKey === itself ? 0 : count }, (_, row) => row).find(isSame);
  const reached = found ?? Math.min(focused?.row ?? 0, Math.max(0, count - 1));
  const drawn = new Set<number>();
  for (let index = first; index < last; index++) {
    drawn.add(index);
  }
  for (const kept of [found ?? (isRoving && count > 0 ? reached : undefined), openKey === undefined ? undefined : open]) {
    if (kept !== undefined) {
      drawn.add(kept);
    }
  }
  const go = (next: number) => {
    const row = Math.min(Math.max(0, next), count - 1);
    setFocused({ row, key: rowKey(row) });
    goesTo.current = row;
    show(row);
  };
  return (
    <div
      {...rest}
      className={`rows ${className}`}
      ref={viewport}
      onScroll={onScroll}
      onFocus={({ target }) => {
        const placed = target.closest<HTMLElement>(".placed");
        if (placed && viewport.current!.contains(placed)) {
          const row = Number(placed.dataset.row);
          setFocused({ row, key: rowKey(row) });
        }
      }}
      onKeyDown={(pressed) => {
        onKeyDown?.(pressed);
        const on = isRoving ? (pressed.target as Element).closest<HTMLElement>(".placed") : null;
        const to = on && pressed.target === controlOf(on) && !pressed.ctrlKey && !pressed.metaKey && !pressed.altKey ? stepOf(pressed.key, Number(on.dataset.row), count, handle.current!.page()) : undefined;
        if (to !== undefined) {
          pressed.preventDefault();
          go(to);
        }
      }}
      {...(active !== undefined && first <= active && active < last ? { "aria-activedescendant": `row-${active}` } : {})}
    >
      <div ref={space} className="rows-space" role="presentation">
        {[...drawn].sort((a, b) => a - b).map((index) => {
          const key = rowKey(index);
          return (
            <Placed
              key={key}
              row={index}
              y={offset(index) - top + at.current.scroll}
              onHeight={key === openKey ? (height) => setMeasured({ key, extra: Math.max(0, height - rowHeight) }) : undefined}
            >
              {row(index, index === reached ? 0 : -1)}
            </Placed>
          );
        })}
      </div>
    </div>
  );
}

/** Where a key leads from a row, if it leads anywhere. */
export function stepOf(key: string, row: number, count: number, page: number): number | undefined {
  const steps: Record<string, number> = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: page, PageUp: -page };
  return key === "Home" ? 0 : key === "End" ? count - 1 : steps[key] === undefined ? undefined : row + steps[key];
}

function Placed({ y, row, onHeight, children }: { y: number; row: number; onHeight: ((height: number) => void) | undefined; children: ReactNode }) {
  const element = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    element.current!.style.transform = `translateY(${y}px)`;
  }, [y]);
  const latest = useRef(onHeight);
  latest.current = onHeight;
  const isMeasured = onHeight !== undefined;
  useLayoutEffect(() => {
    if (!isMeasured) {
      return;
    }
    latest.current?.(element.current!.offsetHeight);
    const observer = new ResizeObserver(() => latest.current?.(element.current!.offsetHeight));
    observer.observe(element.current!);
    return () => observer.disconnect();
  }, [isMeasured]);
  return (
    <div ref={element} className="placed" role="presentation" data-row={row}>
      {children}
    </div>
  );
}
