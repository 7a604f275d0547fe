"""The comparison as one page: how good each agent is, how sure that is, what it cost, and where dreams go wrong."""
