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
  row: (index: number) => ReactNode;
  /** The row that keys act on. While it is drawn, it is named by the id `row-` and its index. */
  active?: number;
  onTop?: (isAtTop: boolean) => void;
}

export function Rows({ count, rowHeight, handle, row, onTop, active, className = "", ...rest }: Props & HTMLAttributes<HTMLDivElement>) {
  const viewport = useRef<HTMLDivElement>(null);
  const space = useRef<HTMLDivElement>(null);
  const [height, setHeight] = useState(600);
  /** Where in all rows the top of the screen is, in pixels; the scroll bar is where it can be. */
  const [top, setTop] = useState(0);
  const at = useRef({ top: 0, scroll: 0, settle: 0 });
  const whole = count * rowHeight;
  const made = Math.min(whole, MAX_HEIGHT);
  const sizes = useRef({ whole, made, height });
  sizes.current = { whole, made, height };

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
      show(row) {
        const { top } = at.current;
        if (row * rowHeight < top) {
          place(row * rowHeight);
        } else if ((row + 1) * rowHeight > top + sizes.current.height) {
          place((row + 1) * rowHeight - sizes.current.height);
        }
      },
      shift: (rows) => at.current.top > 0 && place(at.current.top + rows * rowHeight),
      page: () => Math.max(1, Math.floor(sizes.current.height / rowHeight) - 1),
      isAtTop: () => at.current.top < rowHeight / 2,
    };
  }, [handle, place, rowHeight]);

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
  }, [made, whole, height, place]);
  const isAtTop = top < rowHeight / 2;
  useEffect(() => onTop?.(isAtTop), [isAtTop, onTop]);

  const first = Math.max(0, Math.floor(top / rowHeight) - OVERSCAN);
  const last = Math.min(count, Math.ceil((top + height) / rowHeight) + OVERSCAN);
  const shown = [];
  for (let index = first; index < last; index++) {
    shown.push(
      <Placed key={index} y={index * rowHeight - top + at.current.scroll}>
        {row(index)}
      </Placed>,
    );
  }
  return (
    <div
      {...rest}
      className={`rows ${className}`}
      ref={viewport}
      onScroll={onScroll}
      {...(active !== undefined && first <= active && active < last ? { "aria-activedescendant": `row-${active}` } : {})}
    >
      <div ref={space} className="rows-space" role="presentation">{shown}</div>
    </div>
  );
}

function Placed({ y, children }: { y: number; children: ReactNode }) {
  const element = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    element.current!.style.transform = `translateY(${y}px)`;
  }, [y]);
  return (
    <div ref={element} className="placed" role="presentation">
      {children}
    </div>
  );
}
