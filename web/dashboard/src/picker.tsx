import { useState } from "react";
import { RANGES, fromInput, toInput, type Range } from "./time";
import { useParams } from "./router";
import { Button, Dialog, Field, submitted } from "./ui";

/** Which range of time: in the address, as everything that filters. */
export function RangePicker({ range, withAll = false }: { range: Range; withAll?: boolean }) {
  const [, change] = useParams();
  const [isOpen, setOpen] = useState(false);
  const set = (name: string) => change({ range: name, from: null, to: null });
  return (
    <div className="segments" role="group" aria-label="Range of time">
      {RANGES.map(({ name, label, long }) => (
        <button key={name} type="button" title={long} aria-pressed={range.name === name} onClick={() => set(name)}>
          {label}
        </button>
      ))}
      {withAll && (
        <button type="button" title="All time" aria-pressed={range.name === "all"} onClick={() => set("all")}>
          All
        </button>
      )}
      <button type="button" aria-haspopup="dialog" aria-pressed={range.name === "custom"} title={range.label} onClick={() => setOpen(true)}>
        Custom
      </button>
      {isOpen && <Custom range={range} onClose={() => setOpen(false)} />}
    </div>
  );
}

function Custom({ range, onClose }: { range: Range; onClose: () => void }) {
  const [, change] = useParams();
  const [error, setError] = useState<string>();
  const submit = (data: FormData) => {
    const from = fromInput(String(data.get("from")));
    const to = fromInput(String(data.get("to")));
    if (from === null && to === null) {
      setError("Give at least one of the two.");
    } else if (from !== null && to !== null && from >= to) {
      setError("The range ends before it begins.");
    } else {
      change({ range: null, from: from === null ? null : String(from), to: to === null ? null : String(to) });
      onClose();
    }
  };
  return (
    <Dialog title="Range of time" onClose={onClose}>
      <form onSubmit={submitted(submit)} className="stack">
        <Field label="From">{(ids) => <input {...ids} type="datetime-local" name="from" defaultValue={toInput(range.from)} />}</Field>
        <Field label="To" hint="Leave it empty for a range that goes on." error={error}>
          {(ids) => <input {...ids} type="datetime-local" name="to" defaultValue={toInput(range.to)} />}
        </Field>
        <footer className="actions">
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit">Show</Button>
        </footer>
      </form>
    </Dialog>
  );
}
