/**
 * Paths of the checkout, without a library for it.
 *
 * @module
 */

/** The path that a `file:` URL names. */
export function fromFileUrl(url: URL): string {
  return decodeURIComponent(url.pathname);
}

/** The root of the checkout, with a slash at its end. */
export const repositoryRoot: string = fromFileUrl(new URL("..", import.meta.url));

/** Whether something is at a path. */
export function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
