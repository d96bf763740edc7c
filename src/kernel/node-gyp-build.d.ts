declare module 'node-gyp-build' {
  /** Loads the package's native module from prebuilds/ or build/. Throws where there is none. */
  export default function load(root: string): unknown
}
