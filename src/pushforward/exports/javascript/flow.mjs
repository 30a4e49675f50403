/* The same as an ES module, for browsers, bundlers and Node: import { read } from "pushforward". */
import "./flow.js";

const api = globalThis.pushforward;
export const { read, Flow, Mixture, logSumExp } = api;
export default api;
