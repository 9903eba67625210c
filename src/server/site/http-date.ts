const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

const WEEKDAY = `(?:${DAYS.join("|")})`;
const SHORT_WEEKDAY = `(?:${DAYS.map((name) => name.slice(0, 3)).join("|")})`;
const MONTH = `(?<month>${MONTHS.join("|")})`;
const TIME = "(?<hour>\\d\\d?):(?<minute>[0-5]\\d):(?<second>[0-5]\\d)(?:[.,]\\d+)?";
/** The three forms of RFC 9110 section 5.6.7, as Go's net/http reads them: IMF-fixdate, RFC 850's, asctime's. */
const FORMS = [
  `${SHORT_WEEKDAY}, +(?<day>\\d\\d) +${MONTH} +(?<year>\\d{4}) +${TIME} +(?<zone>GMT)`,
  `${WEEKDAY}, +(?<day>\\d\\d)-${MONTH}-(?<year>\\d\\d) +${TIME} +(?<zone>[A-Z]{3}|[A-Z]{3,4}T)`,
  `${SHORT_WEEKDAY} +${MONTH} +(?<day>\\d\\d?) +${TIME} +(?<year>\\d{4})`,
].map((form) => new RegExp(`^${form}$`, "i"));

/**
 * Milliseconds of an HTTP date, without its fraction, or undefined for anything else, which is then ignored. Go takes
 * names in any case, several spaces for one, an hour of one digit and, in the second form, every zone for GMT; it does
 * not look whether the day of the week is that day's, but knows how many days a month has.
 */
export function parseHttpDate(text: string): number | undefined {
  const parts = FORMS.map((form) => form.exec(text)?.groups).find((groups) => groups !== undefined);
  if (parts === undefined) return undefined;
  const { day, month = "", year = "", hour, minute, second, zone = "" } = parts;
  if (Number(hour) > 23 || zone !== zone.toUpperCase()) return undefined;
  const monthIndex = MONTHS.findIndex((name) => name.toLowerCase() === month.toLowerCase());
  const date = new Date(0);
  date.setUTCFullYear(fullYear(year), monthIndex, Number(day));
  if (date.getUTCDate() !== Number(day)) return undefined;
  return date.setUTCHours(Number(hour), Number(minute), Number(second));
}

/** Two digits are a year of Unix time, which begins in 1969 west of Greenwich. */
function fullYear(digits: string): number {
  const year = Number(digits);
  if (digits.length > 2) return year;
  return year < 69 ? 2000 + year : 1900 + year;
}
