// Times as a person reads them: in their zone and language. No VS Code in here.

const UNITS: readonly [seconds: number, unit: Intl.RelativeTimeFormatUnit][] = [
  [31_536_000, "year"],
  [2_592_000, "month"],
  [86_400, "day"],
  [3_600, "hour"],
  [60, "minute"],
];

/** How long ago that was: `5 min ago`, or in words for a screen reader: `5 minutes ago`. */
export function age(time: string, now: number, locale: string, style: "narrow" | "long" = "narrow"): string {
  const seconds = (now - Date.parse(time)) / 1000;
  const [length, unit] = UNITS.find(([length]) => seconds >= length) ?? [1, "second"];
  const format = new Intl.RelativeTimeFormat(locale, { style, numeric: unit === "second" ? "auto" : "always" });
  return format.format(unit === "second" ? 0 : -Math.floor(seconds / length), unit);
}

/** `14:03` today, `Mon 14:03` in the last week, `23 Nov 2026, 14:03` before. */
export function clock(time: string, now: number, locale: string, zone?: string): string {
  const moment = new Date(time);
  if (Number.isNaN(moment.getTime())) {
    return "";
  }
  const days = dayNumber(new Date(now), zone) - dayNumber(moment, zone);
  const hour = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" } as const;
  const date = days === 0 ? {} : days > 0 && days < 7 ? { weekday: "short" as const } : LONG;
  return formatter(british(locale), { ...date, ...hour, timeZone: zone }).format(moment);
}

const LONG = { day: "numeric", month: "short", year: "numeric" } as const;

/** Groups of a list by time, newest first. A month of this year is `2026-10`, an earlier year `2025`. */
export type Span = "today" | "yesterday" | "week" | (string & {});

/** The group that a time belongs to. Days begin at midnight in the zone. */
export function span(time: string, now: number, zone?: string): Span {
  const today = dayNumber(new Date(now), zone);
  const moment = new Date(time);
  if (Number.isNaN(moment.getTime())) {
    return "0";
  }
  const days = today - dayNumber(moment, zone);
  if (days <= 0) {
    return "today";
  }
  if (days === 1) {
    return "yesterday";
  }
  if (days < 7) {
    return "week";
  }
  const [year = "", month = ""] = dateOf(moment, zone).split("-");
  return year === dateOf(new Date(now), zone).slice(0, 4) ? `${year}-${month}` : year;
}

/** The name of a month's or year's group: `October`, `2025`. */
export function monthOrYear(span: string, locale: string): string {
  const [year = "", month] = span.split("-");
  const name = month && formatter(locale, { month: "long", timeZone: "UTC" }).format(Date.UTC(Number(year), Number(month) - 1, 1));
  return name ?? year;
}

/** Days since the epoch of the date in the zone. */
function dayNumber(moment: Date, zone?: string): number {
  return Date.parse(`${dateOf(moment, zone)}T00:00:00Z`) / 86_400_000;
}

/** `2026-11-26` */
function dateOf(moment: Date, zone?: string): string {
  const parts = formatter("en-GB", { year: "numeric", month: "2-digit", day: "2-digit", timeZone: zone }).formatToParts(moment);
  const part = (type: string) => parts.find((one) => one.type === type)?.value ?? "";
  return `${part("year")}-${part("month")}-${part("day")}`;
}

/** Plain English writes days before months here, as the server does. */
function british(locale: string): string {
  return locale === "en" || locale === "en-US" ? "en-GB" : locale;
}

const formatters = new Map<string, Intl.DateTimeFormat>();

/** Making one takes longer than using it a hundred times. A zone that nobody knows is the machine's. */
function formatter(locale: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = JSON.stringify([locale, options]);
  const known = formatters.get(key) ?? make(locale, options);
  formatters.set(key, known);
  return known;
}

function make(locale: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  try {
    return new Intl.DateTimeFormat(locale, options);
  } catch {
    return new Intl.DateTimeFormat("en-GB", { ...options, timeZone: undefined });
  }
}
