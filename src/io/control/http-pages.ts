import type { IncomingMessage, ServerResponse } from "node:http";
import { isIP } from "node:net";
import { prometheusContentType } from "../../observe/prometheus.ts";

/** What a control port shows to plain HTTP. */
export interface HttpPages {
  metrics(): string;
  statusJson(): string;
}

export interface HttpAccess {
  readonly keyed: boolean;
  readonly onLoopback: boolean;
  readonly pages: HttpPages;
}

/**
 * Why a request must not be served, or null. A web page in a browser on this machine can reach loopback: a request
 * from another origin, or under a name that somebody else's DNS points here, is such a page.
 * @param namesOnlyLoopback the node is on loopback without a key, so nothing else keeps web pages out
 */
export function refusalOfRequest(request: IncomingMessage, namesOnlyLoopback: boolean): string | null {
  const host = request.headers.host ?? "";
  const { origin } = request.headers;
  if (origin !== undefined && origin !== `http://${host}` && origin !== `https://${host}`) {
    return "requests from other origins are refused";
  }
  const name = host.replace(/:[0-9]*$/, "").replace(/^\[|\]$/g, "");
  if (namesOnlyLoopback && name !== "localhost" && isIP(name) === 0) {
    return "use localhost or an IP address as the host name";
  }
  return null;
}

/** Answers a plain HTTP request. */
export function answerHttp(request: IncomingMessage, response: ServerResponse, access: HttpAccess): void {
  const refusal = access.keyed ? null : refusalOfRequest(request, access.onLoopback);
  const page = request.url?.replace(/\?.*$/, "");
  if (access.keyed) {
    const why = "this node has a cluster key: plain HTTP is refused; use nswap status --key-file FILE";
    text(response, 401, why, { "WWW-Authenticate": 'nswap realm="cluster key"' });
  } else if (refusal !== null) {
    text(response, 403, refusal);
  } else if (request.method !== "GET" && request.method !== "HEAD") {
    text(response, 405, "only GET is served here", { Allow: "GET, HEAD" });
  } else if (page === "/metrics") {
    send(response, 200, prometheusContentType, access.pages.metrics());
  } else if (page === "/status") {
    send(response, 200, "application/json; charset=utf-8", access.pages.statusJson());
  } else {
    text(response, 404, "served here: /metrics, /status, and WebSocket at /control");
  }
}

function text(
  response: ServerResponse,
  status: number,
  line: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  send(response, status, "text/plain; charset=utf-8", `${line}\n`);
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, {
    "Content-Type": type,
    "Content-Length": Buffer.byteLength(body),
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
  });
  response.end(body);
}
