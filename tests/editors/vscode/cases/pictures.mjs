// The pictures of the README: a week of somebody's conversations, an answer while it is written, and a question about
// some lines. Only with PICTURES=1, into SHOTS.
import fs from "node:fs";
import path from "node:path";
import { cli, freePort, remember, shots, until, work } from "../machine.mjs";
import { Model } from "../model.mjs";

const HOUR = 3_600_000;
const RETRY = `//! Retries with backoff.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(50);
const CAP: Duration = Duration::from_secs(10);

/// How long to wait before the next attempt.
pub fn pause(attempt: u32) -> Duration {
    CAP.min(FIRST * 2u32.saturating_pow(attempt))
}
`;
const JITTER = `Because clients that failed together come back together. With exponential backoff alone, a thousand clients
that lost the same server retry at the same moments, in ever rarer but equally large waves.

**Full jitter** spreads them: wait a random time between zero and the backoff.

\`\`\`rust
pub fn pause(attempt: u32) -> Duration {
    let most = CAP.min(FIRST * 2u32.saturating_pow(attempt));
    rand::random_range(Duration::ZERO..=most)
}
\`\`\`

The mean wait is half as long, and the load on the server is flat.

`;
/** Names, and their age in hours. */
const PAST = [
  ["Why does retry need jitter?", 0.4],
  ["Exponential backoff with full jitter", 3],
  ["Borrow checker: cannot move out of a shared reference", 5],
  ["איך לבטל commit שכבר נדחף?", 27],
  ["Postgres: why is this index not used?", 30],
  ["Review of the connection pool", 76],
  ["👩🏽‍💻 Pairing notes: flaky integration test", 100],
  ["Terraform state locked", 260],
  ["How do I stream a large response in axum?", 700],
];

export default async ({ page, step, row, text, talk, said, theme, explorer, conversations, closeAll }) => {
  if (!process.env.PICTURES) return;
  const picture = (name) => page.screenshot({ path: path.join(shots, `${name}.png`) });
  const model = new Model();
  const port = await freePort();
  await model.start(port);
  await step("pictures", async () => {
    await page.setViewportSize({ width: 1280, height: 720 });
    fs.writeFileSync(path.join(work, "retry.rs"), RETRY);
    await cli("model", "use", `http://127.0.0.1:${port}/v1`, "--model", "small");
    await remember(PAST.map(([name, hours]) => ({ name, time: Date.now() - hours * HOUR, said: [["USER", name], ["ASSISTANT", JITTER]] })));
    await closeAll();
    await explorer("retry.rs");
    await conversations();
    await row("Postgres").waitFor();
    model.says = JITTER;
    await row("Exponential backoff").dblclick();
    await said("Full jitter").waitFor();
    await picture("vscode-light");
    await theme("Dark Modern");
    await until("dark", () => talk.locator("body.vscode-dark").isVisible());
    await picture("vscode-dark");
    await theme("Light Modern");
    await until("light", () => talk.locator("body.vscode-light").isVisible());
    await closeAll();
    await explorer("retry.rs");
    await text("pub fn pause").click();
    await page.keyboard.press("Home");
    for (let n = 0; n < 3; n++) await page.keyboard.press("Shift+ArrowDown");
    await page.keyboard.press("Control+k");
    await page.keyboard.press("Control+y");
    await page.locator(".review-widget .monaco-editor").first().waitFor();
    await until("the box has the focus", () => page.evaluate(() => document.activeElement?.closest(".review-widget") != null));
    await page.keyboard.type("Why hold back with jitter, and what would it look like?");
    await picture("vscode-ask");
    await page.keyboard.press("Control+Enter");
    await said("come back together").waitFor();
    await page.locator(".statusbar-item", { hasText: "Pieces: writing…" }).waitFor();
    await picture("vscode-streaming");
    model.release();
    await said("is flat").waitFor();
    await closeAll();
    await cli("model", "off");
  });
  await model.stop();
  await page.setViewportSize({ width: 1280, height: 800 });
};
