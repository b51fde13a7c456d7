// What only a demonstration has: a panel that makes things happen.
import { useEffect, useRef, useState } from "react";
import { currentKey } from "./session";
import { Icon } from "./icons";
import { Link } from "./router";
import { Button } from "./ui";

const SCENES = [
  { scene: "failed-logins", name: "Failed logins", about: "Somebody guesses a password" },
  { scene: "mass-deletion", name: "Mass deletion", about: "Somebody deletes two dozen records" },
  { scene: "privilege-change", name: "Privilege change", about: "A viewer becomes an administrator" },
  { scene: "mass-export", name: "Export", about: "Somebody takes the data out" },
] as const;

export default function Demo({ isInert }: { isInert: boolean }) {
  const [isOpen, setOpen] = useState(() => innerWidth >= 1100);
  const toggled = useRef(false);
  const toggle = useRef<HTMLButtonElement>(null);
  const set = (next: boolean) => {
    toggled.current = true;
    setOpen(next);
  };
  // The button that was pressed is gone; the other one is in its place.
  useEffect(() => {
    if (toggled.current) {
      toggle.current?.focus();
    }
  }, [isOpen]);
  const [told, setTold] = useState<string>();
  const play = async (scene: string, name: string) => {
    setTold(`${name} …`);
    const headers = { authorization: `Bearer ${currentKey()}`, "content-type": "application/json" };
    try {
      const answer = await fetch("/demo/scenes", { method: "POST", headers, body: JSON.stringify({ scene }) });
      setTold(answer.ok ? `${name}: it is happening. The rules will find it.` : answer.status === 429 ? "One thing after another: try again in a moment." : "That did not work.");
    } catch {
      setTold("The demo has ended.");
    }
  };
  if (!isOpen) {
    return <Button className="demo-open" kind="primary" icon="bolt" ref={toggle} inert={isInert} onClick={() => set(true)}>Make something happen</Button>;
  }
  return (
    <aside className="demo" aria-label="Demo" inert={isInert}>
      <header>
        <h2><Icon name="bolt" /> Make something happen</h2>
        <Button kind="quiet" icon="close" aria-label="Close demo panel" ref={toggle} onClick={() => set(false)} />
      </header>
      <div className="scenes">
        {SCENES.map(({ scene, name, about }) => (
          <button key={scene} type="button" onClick={() => void play(scene, name)}>
            <b>{name}</b>
            <span>{about}</span>
          </button>
        ))}
      </div>
      <p role="status">{told ?? "A company that does not exist goes about its day."} <Link href="/findings">Findings</Link></p>
    </aside>
  );
}
