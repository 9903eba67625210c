import { command, logLevelFlag } from "../command.ts";
import { clientStateFlag, stateDirOf } from "../options.ts";
import { note } from "../output.ts";
import { stopRunning } from "../running-client.ts";

const args = { state: clientStateFlag, "log-level": logLevelFlag } as const;

export default command({
  args,
  notes: "Returns when the client is gone. Exit code 0 also when none was running: it is what was asked for.",
  async run({ values }) {
    const stateDir = stateDirOf(values.state, "client");
    const pid = await stopRunning(stateDir);
    note(pid === undefined ? `no client was running in ${stateDir}` : `stopped the client (pid ${pid})`);
    return undefined;
  },
});
