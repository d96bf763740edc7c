import type { PresetName } from '../profile/presets.js'
import type { Profile } from '../profile/profile.js'
import type { Watching } from './watching.js'

/** The options that {@link HttpAgent} and {@link HttpsAgent} add to those of Node's agents. All times are in ms. */
export interface ConnectionPoolOptions {
  /** What its connections are tuned to. Default: `'cloud'`. `false`: they are left as Node has them. */
  profile?: Profile | PresetName | false
  /**
   * Watches the agent's connections: with your watcher, with options for a new one, or with the defaults (`true`). `false` turns this off. Default:
   * `true` if the native core is available. Node does not notice the death of a connection that it does not read. Without a watcher, a
   * response that the program does not read therefore keeps a dead connection open forever, and counts towards `maxSockets`. By default, the watcher leaves
   * resets to Node, which first delivers the data before the reset.
   */
  watch?: Watching
  /**
   * How long a connection may be idle before it is closed: 0 … 2 147 483 647; 0: as long as the server keeps it. Default: 4 000. The agent's
   * `timeout` counts where it is shorter. Where the server says less (`Keep-Alive: timeout=`), a second less than that.
   */
  freeSocketTimeout?: number
  /** How old a connection may become; it ends with the request that it has then. 0 … 2 147 483 647; 0, the default: any age. */
  socketActiveTTL?: number
  /** How many requests a connection may have: 0 … 2 147 483 647; 0, the default: any number. Where the server takes fewer (`max=`), that. */
  maxRequestsPerSocket?: number
}
