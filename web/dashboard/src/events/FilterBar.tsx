import { useEffect, useId, useRef, useState } from "react";
import type { SealogError } from "sealog/live";
import { get } from "../api";
import { Icon } from "../icons";
import { KEYS, quoted, taken, tokens, withCondition, without, writingAt } from "../query";
import { Button, count } from "../ui";

interface Suggestion {
  text: string;
  about: string;
  /** What takes the place of what was begun. */
  insert: string;
}

const SUGGESTIONS = 8;

interface Offer {
  /** What it was made for: once somebody has written on, it fits no more. */
  text: string;
  cursor: number;
  start: number;
  end: number;
  found: Suggestion[];
}

/** What could stand where the cursor is. */
async function suggest(text: string, cursor: number, signal: AbortSignal): Promise<Omit<Offer, "text" | "cursor">> {
  const { key, begun, start, end } = writingAt(text, cursor);
  if (key === undefined) {
    const keys = KEYS.filter((known) => known.key.startsWith(begun.toLowerCase()));
    return { start, end, found: keys.map(({ key, about }) => ({ text: `${key}:`, about, insert: `${key}:` })) };
  }
  const known = KEYS.find((other) => other.key === key)!;
  if (known.values) {
    const found = known.values.filter((value) => value.startsWith(begun)).map((value) => ({ text: value, about: "", insert: `${value} ` }));
    return { start, end, found };
  }
  if (!known.field) {
    return { start, end, found: [] };
  }
  const answer = await get<{ suggestions: { value: string; count: number }[] }>("/v1/suggestions", { field: known.field, prefix: begun, limit: SUGGESTIONS }, signal);
  return { start, end, found: answer.suggestions.map(({ value, count: times }) => ({ text: value, about: count(times), insert: `${quoted(value)} ` })) };
}

/** A filter as people write it. What it means, and whether it means anything, the server says. */
export function FilterBar({ q, error, onChange }: { q: string; error: SealogError | undefined; onChange: (q: string) => void }) {
  const [text, setText] = useState(q);
  const [cursor, setCursor] = useState<number | null>(null);
  const [offer, setOffer] = useState<Offer>({ text: "", cursor: 0, start: 0, end: 0, found: [] });
  const [chosen, setChosen] = useState(-1);
  const input = useRef<HTMLInputElement>(null);
  const list = useId();
  useEffect(() => setText(q), [q]);
  useEffect(() => {
    if (cursor === null) {
      setOffer((offer) => ({ ...offer, found: [] }));
      return;
    }
    const abort = new AbortController();
    const timer = setTimeout(() => {
      suggest(text, cursor, abort.signal).then(
        (next) => {
          if (!abort.signal.aborted) {
            setOffer({ text, cursor, ...next });
            setChosen(-1);
          }
        },
        // A filter can be written without suggestions.
        () => undefined,
      );
    }, 80);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [text, cursor]);
  useEffect(() => {
    const onKey = (pressed: KeyboardEvent) => {
      const isTyping = pressed.target instanceof HTMLElement && pressed.target.matches("input, textarea, select");
      if (pressed.key === "/" && !isTyping && !pressed.ctrlKey && !pressed.metaKey) {
        pressed.preventDefault();
        input.current?.focus();
      }
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);

  const isFitting = offer.text === text && offer.cursor === cursor;
  const take = ({ insert }: Suggestion) => {
    if (!isFitting) {
      return;
    }
    const { text: next, cursor: place } = taken(text, offer, insert);
    setText(next);
    setCursor(place);
    if (insert.endsWith(" ")) {
      onChange(next.trim());
    }
    requestAnimationFrame(() => {
      input.current?.focus();
      input.current?.setSelectionRange(place, place);
    });
  };
  const apply = (next: string) => {
    setText(next);
    setCursor(null);
    onChange(next.trim());
  };
  const isOpen = cursor !== null && offer.found.length > 0;
  const chips = tokens(q);
  const severities = (chips.find(({ key, operator }) => key === "severity" && operator === ">=")?.value) ?? "";
  return (
    <search className="filter">
      <form
        onSubmit={(submitted) => {
          submitted.preventDefault();
          apply(text);
        }}
      >
        <Icon name="search" />
        <input
          ref={input}
          role="combobox"
          aria-label="Filter"
          aria-expanded={isOpen}
          aria-controls={list}
          aria-autocomplete="list"
          aria-invalid={error ? true : undefined}
          {...(isOpen && chosen >= 0 ? { "aria-activedescendant": `${list}-${chosen}` } : {})}
          placeholder="actor:ada severity>=warning since:7d &quot;reset link&quot;"
          spellCheck={false}
          autoComplete="off"
          autoCapitalize="off"
          value={text}
          onChange={(changed) => {
            setText(changed.target.value);
            setCursor(changed.target.selectionStart);
            setChosen(-1);
          }}
          onFocus={(focused) => setCursor(focused.target.selectionStart ?? 0)}
          onClick={(clicked) => setCursor(clicked.currentTarget.selectionStart)}
          onBlur={() => setCursor(null)}
          onKeyDown={(pressed) => {
            if (pressed.key === "ArrowDown" || pressed.key === "ArrowUp") {
              pressed.preventDefault();
              const step = pressed.key === "ArrowDown" ? 1 : -1;
              const places = offer.found.length + 1;
              setChosen((chosen) => ((chosen + 1 + step + places) % places) - 1);
              setCursor((cursor) => cursor ?? pressed.currentTarget.selectionStart);
            } else if ((pressed.key === "Enter" || pressed.key === "Tab") && isOpen && isFitting && chosen >= 0) {
              pressed.preventDefault();
              take(offer.found[chosen]!);
            } else if (pressed.key === "Escape") {
              setCursor(null);
            }
          }}
        />
        {text !== "" && <Button kind="quiet" icon="close" aria-label="Clear filter" onClick={() => apply("")} />}
        <kbd aria-hidden="true">/</kbd>
        <ul id={list} role="listbox" aria-label="Suggestions" hidden={!isOpen}>
          {offer.found.map((suggestion, index) => (
            <li
              key={suggestion.text}
              id={`${list}-${index}`}
              role="option"
              aria-selected={index === chosen}
              onMouseDown={(pressed) => {
                pressed.preventDefault();
                take(suggestion);
              }}
            >
              <span className="mono">{suggestion.text}</span>
              <span className="dim">{suggestion.about}</span>
            </li>
          ))}
        </ul>
      </form>
      {error && <p className="field-error" role="alert">{error.message}</p>}
      <div className="chips">
        <label className="chip-select">
          <span>Severity</span>
          <select value={severities} onChange={(changed) => apply(withCondition(q, "severity", changed.target.value && `severity>=${changed.target.value}`))}>
            <option value="">any</option>
            <option value="warning">warning and up</option>
            <option value="error">error and up</option>
            <option value="critical">critical</option>
          </select>
        </label>
        {chips.map((token) => (
          <span key={`${token.start} ${token.text}`} className={`chip ${token.key ? "" : "word"}`}>
            {token.key ? <><b>{token.key}</b>{token.operator === ">=" ? " ≥ " : " "}{token.value}</> : token.text}
            <button type="button" aria-label={`Remove ${token.text}`} onClick={() => apply(without(q, token))}>
              <Icon name="close" size={12} />
            </button>
          </span>
        ))}
      </div>
    </search>
  );
}
