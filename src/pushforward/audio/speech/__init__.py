"""Speech: fitting, distilling and measuring models of recordings."""
