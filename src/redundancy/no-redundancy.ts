import type { Holder } from "../placement/holder.ts";
import {
  type PageFigures,
  type RecoveryFigures,
  type Redundancy,
  type RedundancyPort,
  Rescue,
} from "./redundancy.ts";

/** Each page is on one server, and gone with it. */
export class NoRedundancy implements Redundancy {
  readonly mode = "none";
  readonly groups = undefined;
  readonly leadOf = undefined;
  readonly hasRoom = true;
  readonly isBusy = false;
  readonly #port: Pick<RedundancyPort, "invalidate" | "table">;
  #live = 0;

  constructor(port: Pick<RedundancyPort, "invalidate" | "table">) {
    this.#port = port;
  }

  pageHeld(): void {
    this.#live += 1;
  }

  pageDead(_slot: number, pageId: number, holder: number): void {
    this.#live -= 1;
    this.#port.invalidate(holder, pageId);
  }

  wants(): boolean {
    return false;
  }

  /** Nothing but its holder has a page; it may come back. */
  rescue(_slot: number, _frame: number, holder: Holder): Rescue {
    return holder.state === "dead" ? Rescue.NEVER : Rescue.LATER;
  }

  pageWrong(): void {}

  pageMissing(): boolean {
    return false;
  }

  isCopy(): boolean {
    return false;
  }

  hasOthers(): boolean {
    return false;
  }

  parityHeld(): void {}
  parityReturned(): void {}
  operationDone(): void {}
  mismatchFound(): void {}
  listing(): void {}
  filled(): void {}
  holderUp(): void {}
  holderAway(): void {}
  holderDead(): void {}
  flush(): void {}
  tick(): void {}

  barrier(): () => boolean {
    return () => true;
  }

  figures(): PageFigures {
    return { live: this.#live, dead: 0, unprotected: this.#live };
  }

  recovery(): RecoveryFigures {
    return { state: "idle", done: 0, total: 0 };
  }
}
