/* All parts, in the order in which they need each other: require("pushforward"). */
"use strict";

require("./numbers.js");
require("./inputs.js");
require("./normal.js");
require("./student.js");
require("./networks.js");
require("./families.js");
require("./maps.js");
require("./contexts.js");
require("./steps.js");
require("./clusters.js");
require("./bases.js");
require("./flow.js");
require("./moments.js");
require("./columns.js");
require("./table.js");

module.exports = globalThis.pushforward;
