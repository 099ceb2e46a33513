/** One import, re-export or dynamic import of a module. */
export interface Import {
  from: string;
  /** Nothing of it is left at run time. */
  typeOnly: boolean;
}

/** The text without comments, line for line; strings stay. */
export function withoutComments(text: string): string {
  return scan(text, false);
}

/** The text without comments and without what strings say, line for line. */
export function codeOnly(text: string): string {
  return scan(text, true);
}

// A string, a template (its code parts go with it), a comment to the line's end, a comment over lines.
const PARTS = /"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\[\s\S])*`|\/\/[^\n]*|\/\*[\s\S]*?\*\//g;

function scan(text: string, blankStrings: boolean): string {
  return text.replace(PARTS, (part) => {
    if (part.startsWith("/")) return part.replace(/[^\n]/g, " ");
    if (!blankStrings) return part;
    if (!part.startsWith("`")) return '""';
    // What is computed inside a template is code.
    const code = [...part.matchAll(/\$\{([^}]*)\}/g)].map((m) => m[1]).join(";");
    return `(${code})${part.replace(/[^\n]/g, "")}`;
  });
}

const STATIC = /(?:^|[\n;])\s*(?:import|export)\s+(type\s+)?([^;"']*?)\s*from\s*["']([^"']+)["']/g;
const BARE = /(?:^|[\n;])\s*import\s*["']([^"']+)["']/g;
const DYNAMIC = /\bimport\s*\(\s*["']([^"']+)["']\s*\)/g;

/** All imports of a TypeScript or JavaScript text. */
export function importsOf(text: string): Import[] {
  const code = withoutComments(text);
  const found: Import[] = [];
  for (const [, type, names, from] of code.matchAll(STATIC)) {
    found.push({ from: from!, typeOnly: type !== undefined || onlyTypes(names!) });
  }
  for (const pattern of [BARE, DYNAMIC]) {
    for (const [, from] of code.matchAll(pattern)) found.push({ from: from!, typeOnly: false });
  }
  return found;
}

/** True for `{ type A, type B }`. */
function onlyTypes(names: string): boolean {
  const listed = /^\{([^}]*)\}$/.exec(names);
  if (listed === null) return false;
  const each = listed[1]!.split(",").map((name) => name.trim());
  return each.filter((name) => name !== "").every((name) => name.startsWith("type "));
}
