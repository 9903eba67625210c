import { expect, test } from "bun:test";
import { parseHttpDate } from "../../../src/server/site/http-date.ts";

const EXPECTED = Date.UTC(2030, 0, 1, 5, 6, 7);

test.each([
  "Tue, 01 Jan 2030 05:06:07 GMT",
  "Sat, 01 Jan 2030 05:06:07 GMT",
  "tue, 01 JAN 2030 05:06:07 GMT",
  "Tue,  01  Jan  2030  05:06:07  GMT",
  "Tue, 01 Jan 2030 5:06:07 GMT",
  "Tue, 01 Jan 2030 05:06:07.999 GMT",
  "Tuesday, 01-Jan-30 05:06:07 GMT",
  "Tuesday, 01-Jan-30 05:06:07 UTC",
  "Tuesday, 01-Jan-30 05:06:07 CEST",
  "Tue Jan  1 05:06:07 2030",
  "Tue Jan 1 05:06:07 2030",
  "Tue Jan 01 05:06:07 2030",
])("%s is a date", (text) => {
  expect(parseHttpDate(text)).toBe(EXPECTED);
});

test.each([
  "",
  "nonsense",
  "Sat, 30 Feb 2030 00:00:00 GMT",
  "Tue, 31 Apr 2030 00:00:00 GMT",
  "Tue, 29 Feb 2030 00:00:00 GMT",
  "Tue, 00 Jan 2030 00:00:00 GMT",
  "Tue, 1 Jan 2030 00:00:00 GMT",
  "Tue, 01 Jan 30 00:00:00 GMT",
  "Tue, 01 Jan 2030 24:00:00 GMT",
  "Tue, 01 Jan 2030 00:60:00 GMT",
  "Tue, 01 Jan 2030 23:59:60 GMT",
  "Tue, 01 Jan 2030 00:0:00 GMT",
  "Tue, 01 Jan 2030 00:00:00 gmt",
  "Tue, 01 Jan 2030 00:00:00 UTC",
  "Tue, 01 Jan 2030 00:00:00 +0000",
  "Tue, 01 Jan 2030 00:00:00",
  "Tue,01 Jan 2030 00:00:00 GMT",
  "Xyz, 01 Jan 2030 00:00:00 GMT",
  "Tuesday, 01 Jan 2030 00:00:00 GMT",
  "Tue, 01-Jan-30 00:00:00 GMT",
  "Tuesday, 1-Jan-30 00:00:00 GMT",
  "Tuesday, 01-Jan-30 00:00:00 XY",
  "Tuesday, 01-Jan-30 00:00:00 WXYZ",
  "Tue Jan  1 00:00:00 GMT 2030",
  "Tue, 01 Jan 2030 00:00:00 GMT, Tue, 01 Jan 2030 00:00:00 GMT",
  " Tue, 01 Jan 2030 00:00:00 GMT",
  "2030-01-01T00:00:00Z",
])("%p is none", (text) => {
  expect(parseHttpDate(text)).toBeUndefined();
});

test("two digits are a year from 1969 to 2068", () => {
  const yearOf = (digits: string) =>
    new Date(parseHttpDate(`Monday, 01-Jul-${digits} 00:00:00 GMT`) ?? Number.NaN).getUTCFullYear();
  expect(["69", "99", "00", "68"].map(yearOf)).toEqual([1969, 1999, 2000, 2068]);
});

test("a leap year has a 29th of February", () => {
  expect(parseHttpDate("Tue, 29 Feb 2028 00:00:00 GMT")).toBe(Date.UTC(2028, 1, 29));
});

test("a year of the first century is not one of the last", () => {
  expect(new Date(parseHttpDate("Tue, 01 Jan 0030 00:00:00 GMT") ?? 0).getUTCFullYear()).toBe(30);
});
