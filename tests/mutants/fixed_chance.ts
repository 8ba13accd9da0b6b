/**
 * Preloaded before a test with properties, so that its hunt is the same every time.
 *
 * @module
 */

import fc from "fast-check";

fc.configureGlobal({ seed: 1 });
