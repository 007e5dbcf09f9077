// A fresh window: nothing has been opened yet.

export default async ({ page, step, says, palette, conversations, closeAll, explorer }) => {
  await step("an-untrusted-folder-decides-nothing", async () => {
    await page.locator(".statusbar-item", { hasText: "Restricted Mode" }).waitFor();
    // It is there at once, before there is a server.
    await page.locator(".statusbar-item", { hasText: "Pieces" }).first().waitFor();
    await palette("Manage Workspace Trust", "Workspaces");
    await page.getByRole("button", { name: "Trust", exact: true }).click();
    await page.locator(".statusbar-item", { hasText: "Restricted Mode" }).waitFor({ state: "detached" });
    await closeAll();
  });
  await step("a-text-without-conversations-starts-no-server", async () => {
    await explorer("retry.rs");
    await page.locator(".statusbar-item", { hasText: "Pieces local" }).waitFor({ state: "detached" });
  });
  await step("links-work-in-a-fresh-window", async () => {
    // The view has not been opened.
    await explorer("linked.rs");
    await says("Pieces local");
    await page.locator(".squiggly-warning").first().waitFor();
    await closeAll();
  });
  await step("an-empty-view-says-what-to-do", async () => {
    await conversations();
    await page.getByText("No conversations yet.").waitFor();
    await says("Pieces local");
  });
};
