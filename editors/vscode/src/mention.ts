// Whether a text holds something that the server has to do with. No VS Code in here.

const MENTION =
  /pieces-(?:conversation|asset):|\[\[pieces:|\bpieces:\s|\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/i;

/** Of a long text, only the first mebibyte is looked at. */
export function mentions(text: string): boolean {
  return MENTION.test(text.length > 1 << 20 ? text.slice(0, 1 << 20) : text);
}
