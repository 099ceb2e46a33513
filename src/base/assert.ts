/**
 * States an invariant. A failure is a defect of ours, never bad input: the process must not go on with state
 * that it cannot trust, since a wrong page is worse than a dead client.
 */
export function invariant(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(`invariant broken: ${what}`);
}
