// Builds the native core for this machine, unless build/Release already has one that was compiled from these sources:
//   node native/build.mjs
// It compares contents and not times, so it also notices a checkout of an older version. If nothing changed it takes a few milliseconds.
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { isMadeFromThese } from './sources.mjs'

process.chdir(fileURLToPath(new URL('..', import.meta.url)))

// There is no native core for other systems.
if (process.platform === 'linux' && !isMadeFromThese('build/Release/deadpeer.node')) {
  console.log('# building the native core from its sources')
  // Through npm, which has node-gyp on its PATH and knows where Node's headers are.
  execFileSync('npm', ['run', '--silent', 'build:native'], { stdio: ['ignore', 'ignore', 'inherit'] })
}
