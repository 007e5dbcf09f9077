// The document of a page. No VS Code in here.

import type { Setup } from "./wire";

interface Places {
  readonly script: string;
  readonly style: string;
  /** Where VS Code serves files of the extension from. */
  readonly source: string;
  readonly nonce: string;
}

/** Scripts run only with the nonce, and nothing is fetched but our style. */
export function html({ script, style, source, nonce }: Places, setup: Setup): string {
  const policy = [
    "default-src 'none'",
    `script-src 'nonce-${nonce}'`,
    `style-src ${source}`,
    "img-src 'none'",
    "connect-src 'none'",
    "form-action 'none'",
    "base-uri 'none'",
  ].join("; ");
  // `<` would end the element.
  const data = JSON.stringify(setup).replace(/</g, "\\u003c");
  return `<!DOCTYPE html>
<html lang="${attribute(setup.locale)}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${attribute(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Pieces Conversations</title>
<link rel="stylesheet" href="${attribute(style)}">
</head>
<body>
<script type="application/json" id="setup" nonce="${attribute(nonce)}">${data}</script>
<script src="${attribute(script)}" nonce="${attribute(nonce)}"></script>
</body>
</html>`;
}

function attribute(text: string): string {
  return text.replace(/&/g, "&amp;").replace(/"/g, "&quot;").replace(/</g, "&lt;");
}
