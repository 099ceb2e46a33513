/** Outcome of one page's read or write. */
export const PageResult = {
  OK: 0,
  /** The page is provably lost. */
  LOST: 1,
} as const;
export type PageResult = (typeof PageResult)[keyof typeof PageResult];

/** Who waits for a page: a request, or a partial write that needs what the page held before. */
export interface PageWaiter {
  /**
   * The page in `frame` is there (read: its bytes are in the frame, which now belongs to the waiter) or held
   * (write: the frame was given back already).
   */
  pageDone(frame: number, result: PageResult): void;
  /** For those who want the page that one server has: it cannot be had there now, or (`isMissing`) is not there. */
  pageUnread?(frame: number, isMissing: boolean): void;
  /** The read goes on in `other`, which `pageDone` will name. */
  frameReplaced?(frame: number, other: number): void;
}
