import { beforeEach, describe, expect, it } from "vitest";
import { GroupReview } from "../../../src/redundancy/group-review.ts";

describe("a review of more groups than can be looked at at once", () => {
  const groups = { end: 10 };
  let looked: number[];
  let review: GroupReview;

  beforeEach(() => {
    groups.end = 10;
    looked = [];
    review = new GroupReview({ groups, atOnce: 5, atATime: 4, look: (group) => looked.push(group) });
  });

  function finish(): number[] {
    looked = [];
    while (review.isUnderWay) review.work();
    return looked;
  }

  it("looks at none when it begins, at so many at a time then, and ends", () => {
    review.work();
    review.begin();
    expect(looked).toEqual([]);
    review.work();
    expect(looked).toEqual([0, 1, 2, 3]);
    expect(finish()).toEqual([4, 5, 6, 7, 8, 9]);
  });

  it("looks at few at once", () => {
    groups.end = 5;
    review.begin();
    expect(review.isUnderWay).toBe(false);
    expect(looked).toEqual([0, 1, 2, 3, 4]);
  });

  it("goes on once around from each change on, whenever that comes, and at groups made meanwhile", () => {
    review.begin();
    review.work();
    review.begin();
    groups.end = 11;
    review.work();
    expect(finish()).toEqual([8, 9, 10, 0, 1, 2, 3]);
    review.begin();
    for (let i = 0; i < 2; i += 1) review.work();
    review.begin();
    review.work();
    review.work();
    expect(looked.slice(-1)).toEqual([4]);
    review.begin();
    expect(finish()).toEqual([5, 6, 7, 8, 9, 10, 0, 1, 2, 3, 4]);
  });

  it("ends although servers come and go all the time", () => {
    for (let i = 0; i < 20; i += 1) {
      review.begin();
      review.work();
    }
    for (let group = 0; group < groups.end; group += 1)
      expect(looked.filter((each) => each === group).length).toBeGreaterThanOrEqual(8);
    expect(finish()).toHaveLength(groups.end - 4);
  });
});
