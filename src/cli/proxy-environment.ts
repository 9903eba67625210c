import type { ProxyCredentials } from "../client/proxy/negotiation.ts";
import { CREDENTIALS_VARIABLE } from "./credentials.ts";
import { withoutEngineSettings } from "./engine-settings.ts";
import { formatHostPort } from "./host-port.ts";
import type { Environment } from "./strict-args.ts";

/**
 * The environment of a command that shall use the proxy: all programs' ways of saying so, which differ in case and in
 * name. socks5h, not socks5: the server resolves names, so that none goes to a resolver in clear. NO_PROXY stays.
 */
export function proxyEnvironment(
  env: Environment,
  proxy: { readonly hostname: string; readonly port: number },
  credentials: ProxyCredentials | undefined,
): Record<string, string> {
  const authority = `${userInfo(credentials)}${formatHostPort(proxy)}`;
  const variables = {
    ALL_PROXY: `socks5h://${authority}`,
    HTTP_PROXY: `http://${authority}`,
    HTTPS_PROXY: `http://${authority}`,
  };
  const kept = Object.entries(withoutEngineSettings(env)).filter(
    ([name]) => name !== "RVPN_LINK" && name !== CREDENTIALS_VARIABLE,
  );
  const added = Object.entries(variables).flatMap(([name, url]) => [
    [name, url],
    [name.toLowerCase(), url],
  ]);
  return Object.fromEntries([...kept.filter(([, value]) => value !== undefined), ...added]);
}

function userInfo(credentials: ProxyCredentials | undefined): string {
  if (credentials === undefined) return "";
  return `${encodeURIComponent(credentials.user)}:${encodeURIComponent(credentials.password)}@`;
}
