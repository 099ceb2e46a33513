/** XXH3 (64 bits) as its specification has it, for tests: slow, plain, and nothing of the product's. */

const MASK = 2n ** 64n - 1n;
const LOW = 0xffff_ffffn;
const P32 = 0x9e3779b1n;
const P1 = 0x9e3779b185ebca87n;

const SECRET = Buffer.from(
  "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221" +
    "b8084674f743248ee03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8" +
    "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364eac5ac8334d3ebc3c581a0fffa1363eb" +
    "170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e",
  "hex",
);

/** The hash of `bytes`, a whole number of blocks of 1024, with a 64-bit seed. */
export function xxh3(bytes: Uint8Array, seed: bigint): bigint {
  const secret = secretOf(seed);
  const input = Buffer.from(bytes);
  const acc = [0xc2b2ae3dn, P1, 0xc2b2ae3d27d4eb4fn, 0x165667b19e3779f9n, 0x85ebca77c2b2ae63n, 0x85ebca77n];
  acc.push(0x27d4eb2f165667c5n, P32);
  const last = input.length / 64 - 1;
  for (let stripe = 0; stripe < last; stripe += 1) {
    if (stripe > 0 && stripe % 16 === 0) scramble(acc, secret);
    addStripe(acc, input.subarray(64 * stripe), secret.subarray((stripe % 16) * 8));
  }
  addStripe(acc, input.subarray(64 * last), secret.subarray(121));
  let hash = BigInt(input.length) * P1;
  for (let i = 0; i < 4; i += 1) {
    const keyed = (word: number) => acc[2 * i + word]! ^ secret.readBigUInt64LE(11 + 16 * i + 8 * word);
    const product = keyed(0) * keyed(1);
    hash += (product & MASK) ^ (product >> 64n);
  }
  hash &= MASK;
  hash = ((hash ^ (hash >> 37n)) * 0x165667919e3779f9n) & MASK;
  return hash ^ (hash >> 32n);
}

/** The two halves of a hash, XORed. */
export function folded(hash: bigint): number {
  return Number((hash >> 32n) ^ (hash & LOW));
}

function secretOf(seed: bigint): Buffer {
  const secret = Buffer.from(SECRET);
  for (let at = 0; at < secret.length; at += 8) {
    const word = secret.readBigUInt64LE(at);
    secret.writeBigUInt64LE((at % 16 === 0 ? word + seed : word - seed) & MASK, at);
  }
  return secret;
}

function addStripe(acc: bigint[], stripe: Buffer, secret: Buffer): void {
  for (let i = 0; i < 8; i += 1) {
    const word = stripe.readBigUInt64LE(8 * i);
    const key = word ^ secret.readBigUInt64LE(8 * i);
    acc[i ^ 1] = (acc[i ^ 1]! + word) & MASK;
    acc[i] = (acc[i]! + (key & LOW) * (key >> 32n)) & MASK;
  }
}

function scramble(acc: bigint[], secret: Buffer): void {
  for (let i = 0; i < 8; i += 1) {
    acc[i] = ((acc[i]! ^ (acc[i]! >> 47n) ^ secret.readBigUInt64LE(128 + 8 * i)) * P32) & MASK;
  }
}
